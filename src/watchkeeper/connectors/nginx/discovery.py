"""Which nginx servers there are: in containers, as units and plain processes, or named in the settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

from watchkeeper.connectors.naming import Found, address_of, service_on, with_host
from watchkeeper.connectors.nginx import access
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError
from watchkeeper.hosts import ServiceHost

_EXAMPLE = "For example: {name: front, kind: nginx, url: http://10.0.0.5:80, environment: staging}."
_USUAL = (80, 443, 8080)


async def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Servers on hosts, then those named with a URL. A host that cannot be asked is passed over.

    Raises ConfigurationError for settings of the wrong type.
    """
    found: Any = settings.get("resources") or []
    entries = [entry for entry in cast("list[Mapping[str, Any]]", found) if entry.get("kind") == "nginx"]
    named = [resource for entry in entries if (resource := _named(entry))]
    answers = list(filter(None, await asyncio.gather(*(_on_host(host, bool(named)) for host in hosts))))
    for resource, endpoints in answers:
        if not any(address_of(one) in endpoints for one in named):
            yield resource
    for resource in named:
        yield with_host(resource, answers)


async def _on_host(host: Host, wants_addresses: bool) -> Found | None:
    try:
        if not access.is_server(await host.processes()):
            return None
        resource = service_on(host, kind="nginx")
        if isinstance(host, ServiceHost):
            resource = replace(resource, ports=tuple(sorted(host.ports)))
        if not wants_addresses:
            return resource, ()
        ports = resource.ports or tuple(sorted((await host.network()).listening)) or _USUAL
        return resource, [endpoint for port in ports for endpoint in await host.endpoints(port)]
    except (WatchkeeperError, TimeoutError):
        return None


def _named(entry: Mapping[str, Any]) -> Resource | None:
    """The resource of an entry with a URL; one without is about a server that is found on a host."""
    if not entry.get("url"):
        return None
    name, url = str(entry.get("name") or "nginx"), str(entry["url"])
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"resources, {name}: {parts.scheme or 'this'}://… is no address of an nginx.", _EXAMPLE
        )
    if parts.password:
        raise ConfigurationError(f"resources, {name}: the URL contains a password.", _EXAMPLE)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise ConfigurationError(f"resources, {name}: the port in the URL is not a number.", _EXAMPLE) from None
    beside = cast("Mapping[str, Any]", entry.get("settings") or {})
    provider = "local" if parts.hostname in ("127.0.0.1", "localhost", "::1") else "remote"
    return Resource(
        id=f"{provider}/{entry.get('environment') or 'production'}/nginx/{name}",
        slug=name.lower(),
        incarnation=f"{parts.hostname}:{port}",
        ports=(port,),
        may_act=bool(entry.get("act")),
        settings={"url": url, **beside},
    )
