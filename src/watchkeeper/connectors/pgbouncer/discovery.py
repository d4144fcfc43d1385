"""Which poolers there are: in containers, as processes of this machine, or named in the settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from watchkeeper.connectors import addressed
from watchkeeper.connectors.naming import Found, service_on
from watchkeeper.connectors.pgbouncer import access
from watchkeeper.domain import Host, Resource

_ADDRESSES = addressed.Addresses(
    "pgbouncer",
    "a PgBouncer",
    {"postgres": access.PORT, "postgresql": access.PORT, "pgbouncer": access.PORT},
    "For example: {name: pooler, kind: pgbouncer, url: postgresql://10.0.0.6:6432, username: watchkeeper, "
    "password: env:POOLER_PASSWORD}.",
)


@dataclass
class Discovery:
    """Remembers at which port each listens: its configuration is read once for each start command of a container."""

    _ports: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Poolers on hosts and those named with a URL. Raises ConfigurationError, at the end, for an entry that is not
        valid."""
        return addressed.discover(_ADDRESSES, hosts, settings, self._on_host)

    async def _on_host(self, host: Host) -> Found | None:
        processes = await host.processes()
        if not access.is_pooler(processes):
            return None
        key = (host.incarnation, " ".join(processes))
        if key not in self._ports:
            if len(self._ports) > 1000:
                self._ports.clear()
            self._ports[key] = await access.port_of(host, processes)
        port = self._ports[key]
        return replace(service_on(host, kind="pgbouncer"), ports=(port,)), await host.endpoints(port)
