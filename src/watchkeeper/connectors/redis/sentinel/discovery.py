"""Which Sentinels there are: in containers, on machines, or named in the settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from watchkeeper.connectors import addressed
from watchkeeper.connectors.naming import Found, service_on
from watchkeeper.connectors.redis import access
from watchkeeper.connectors.redis.sentinel.session import PORT
from watchkeeper.domain import Host, Resource

_ADDRESSES = addressed.Addresses(
    "sentinel",
    "a Sentinel",
    {"redis": PORT, "rediss": PORT},
    "For example: {name: sentinel-1, kind: sentinel, url: redis://10.0.0.5:26379}.",
)


def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Sentinels on hosts and those named with a URL. Raises ConfigurationError, at the end, for an invalid entry."""
    return addressed.discover(_ADDRESSES, hosts, settings, _on_host)


async def _on_host(host: Host) -> Found | None:
    processes = await host.processes()
    if not access.is_sentinel(processes):
        return None
    resource = service_on(host, kind="sentinel")
    said = str(resource.settings.get("port") or "")
    port = int(said) if said.isdigit() else access.sentinel_port(processes)
    return replace(resource, ports=(port,)), await host.endpoints(port)
