"""By what a resource is known to others: addresses and names."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from watchkeeper.connectors import hosting
from watchkeeper.domain import Host, Resource, WatchkeeperError

PORTS = {"redis": 6379, "rediss": 6379, "postgres": 5432, "postgresql": 5432, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class KnownAs:
    """`addresses` are `host:port`; `names` are what it is called, the longest known way first."""

    addresses: tuple[str, ...]
    names: tuple[str, ...]


async def known_as(resource: Resource, host: Host | None) -> KnownAs:
    """Where it is reached, as its URL or its host tells, and what it is called. What its host does not tell in time is
    left out."""
    addresses = list[str]()
    parts = urlsplit(str(resource.settings.get("url") or ""))
    if parts.hostname:
        addresses.append(f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, 0)}")
    for port in resource.ports if host is not None else ():
        try:
            async with asyncio.timeout(hosting.HOST_SECONDS):
                there = await host.endpoints(port) if host is not None else ()
                addresses += [f"{one}:{number}" for one, number in there]
        except (WatchkeeperError, TimeoutError):
            continue
    service = resource.labels.get("com.docker.compose.service", "")
    names = (resource.name, resource.name.rpartition("/")[2], resource.slug, service)
    return KnownAs(tuple(addresses), tuple(dict.fromkeys(filter(None, names))))
