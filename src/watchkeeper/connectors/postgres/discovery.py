"""Which PostgreSQL servers there are: in containers, or named in the settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from watchkeeper.connectors import addressed
from watchkeeper.connectors.naming import Found, service_on
from watchkeeper.connectors.postgres import access
from watchkeeper.domain import Host, Resource

_ADDRESSES = addressed.Addresses(
    "postgres",
    "a PostgreSQL",
    {"postgres": 5432, "postgresql": 5432},
    "For example: {name: orders, kind: postgres, url: postgresql://10.0.0.5:5432/shop, username: watchkeeper, "
    "password: env:ORDERS_PASSWORD}.",
    check=lambda settings, where: [access.protected(settings.get(name)) for name in ("protect", "poolers")],
)


def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Servers on hosts and those named with a URL. Raises ConfigurationError, at the end, for an entry that is not
    valid."""
    return addressed.discover(_ADDRESSES, hosts, settings, _on_host)


async def _on_host(host: Host) -> Found | None:
    processes = await host.processes()
    if not access.is_server(processes):
        return None
    port = access.port(processes, await host.environment())
    return service_on(host, kind="postgres"), await host.endpoints(port)
