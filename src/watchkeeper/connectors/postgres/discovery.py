"""Which PostgreSQL servers there are: in containers, or named in the settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from watchkeeper.connectors.naming import Found, address_of, service_on, with_host
from watchkeeper.connectors.postgres import access
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError

_EXAMPLE = (
    "For example: {name: orders, kind: postgres, url: postgresql://10.0.0.5:5432/shop, username: watchkeeper, "
    "password: env:ORDERS_PASSWORD}."
)


async def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Servers on hosts, then those named with a URL. A host that cannot be asked is passed over.

    Raises ConfigurationError for settings of the wrong type.
    """
    found: Any = settings.get("resources") or []
    entries = [entry for entry in cast("list[Mapping[str, Any]]", found) if entry.get("kind") == "postgres"]
    named = [resource for entry in entries if (resource := _named(entry))]
    answers = list(filter(None, await asyncio.gather(*(_on_host(host) for host in hosts))))
    for resource, endpoints in answers:
        if not any(address_of(one) in endpoints for one in named):
            yield resource
    for resource in named:
        yield with_host(resource, answers)


async def _on_host(host: Host) -> Found | None:
    try:
        processes = await host.processes()
        if not access.is_server(processes):
            return None
        port = access.port(processes, await host.environment())
        return service_on(host, kind="postgres"), await host.endpoints(port)
    except (WatchkeeperError, TimeoutError):
        return None


def _named(entry: Mapping[str, Any]) -> Resource | None:
    """The resource of an entry with a URL; one without is about a server that is found on a host."""
    if not entry.get("url"):
        return None
    name, url = str(entry.get("name") or "postgres"), str(entry["url"])
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname:
        raise ConfigurationError(
            f"resources, {name}: {parts.scheme or 'this'}://… is no address of a PostgreSQL.", _EXAMPLE
        )
    if parts.password:
        raise ConfigurationError(f"resources, {name}: the URL contains a password; it must be a reference.", _EXAMPLE)
    try:
        port = parts.port or 5432
    except ValueError:
        raise ConfigurationError(f"resources, {name}: the port in the URL is not a number.", _EXAMPLE) from None
    beside = cast("Mapping[str, Any]", entry.get("settings") or {})
    given = {key: entry[key] for key in ("url", "username", "password") if entry.get(key) is not None}
    access.protected(beside.get("protect"))
    provider = "local" if parts.hostname in ("127.0.0.1", "localhost", "::1") else "remote"
    return Resource(
        id=f"{provider}/{entry.get('environment') or 'production'}/postgres/{name}",
        slug=name.lower(),
        incarnation=f"{parts.hostname}:{port}",
        may_act=bool(entry.get("act")),
        settings={**given, **beside},
    )
