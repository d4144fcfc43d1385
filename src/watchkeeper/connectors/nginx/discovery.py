"""Which nginx servers there are: in containers, as units and plain processes, or named in the settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from watchkeeper.connectors import addressed
from watchkeeper.connectors.naming import Found, service_on
from watchkeeper.connectors.nginx import access
from watchkeeper.domain import Host, Resource
from watchkeeper.hosts import ServiceHost

_ADDRESSES = addressed.Addresses(
    "nginx",
    "an nginx",
    {"http": 80, "https": 443},
    "For example: {name: front, kind: nginx, url: http://10.0.0.5:80, environment: staging}.",
    keeps=("url",),
)
_USUAL = (80, 443, 8080)


def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Servers on hosts and those named with a URL. Raises ConfigurationError, at the end, for an entry that is not
    valid."""
    entries: Sequence[Mapping[str, Any]] = settings.get("resources") or ()
    by_address = any(entry.get("kind") == "nginx" and entry.get("url") for entry in entries)
    return addressed.discover(_ADDRESSES, hosts, settings, lambda host: _on_host(host, by_address))


async def _on_host(host: Host, wants_addresses: bool) -> Found | None:
    if not access.is_server(await host.processes()):
        return None
    resource = service_on(host, kind="nginx")
    if isinstance(host, ServiceHost):
        resource = replace(resource, ports=tuple(sorted(host.ports)))
    if not wants_addresses:
        return resource, ()
    ports = resource.ports or tuple(sorted((await host.network()).listening)) or _USUAL
    return resource, [endpoint for port in ports for endpoint in await host.endpoints(port)]
