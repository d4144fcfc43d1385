"""Which Redis servers there are: in containers, named in the settings, or plainly on this machine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from watchkeeper.connectors.addressed import Addresses, found_on, joined
from watchkeeper.connectors.naming import Found, service_on
from watchkeeper.connectors.redis import access
from watchkeeper.connectors.redis.wire import ServerSaid, Wire
from watchkeeper.domain import Host, Resource

_LOCAL = ("127.0.0.1", 6379)
_ADDRESSES = Addresses(
    "redis",
    "a Redis",
    {"redis": 6379, "rediss": 6379},
    "For example: {name: cache, kind: redis, url: redis://10.0.0.5:6379, password: env:CACHE_PASSWORD}.",
    check=lambda settings, where: access.patterns(settings.get("cache_keys")),
)


async def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Servers on hosts and those named with a URL; where there are neither, one on this machine's usual port.

    Raises ConfigurationError, at the end, for an entry that is not valid.
    """
    named, wrong = _ADDRESSES.named(settings)
    found = await found_on(hosts, _on_host)
    for resource in joined(named, found):
        yield resource
    if wrong:
        raise wrong[0]
    taken = {endpoint for _, endpoints in found for endpoint in endpoints}
    if not named and _LOCAL not in taken and await _answers(*_LOCAL):
        yield Resource(
            "local/production/redis/redis", "redis", ports=(6379,), settings={"url": "redis://127.0.0.1:6379"}
        )


async def _on_host(host: Host) -> Found | None:
    processes = await host.processes()
    if not access.is_server(processes):
        return None
    resource = service_on(host, kind="redis")
    said = str(resource.settings.get("port") or "")
    port = int(said) if said.isdigit() else access.port(processes)
    return replace(resource, ports=(port,)), await host.endpoints(access.port(processes))


async def _answers(host: str, port: int) -> bool:
    """Whether a Redis is there: it answers PING, if only by asking for a password."""
    try:
        async with asyncio.timeout(0.3):
            wire = await Wire.open(host, port)
    except OSError:
        return False
    try:
        reply = (await wire.call([("PING",)], timeout=0.3))[0]
        return reply == "PONG" or (isinstance(reply, ServerSaid) and reply.code in ("NOAUTH", "LOADING", "BUSY", "ERR"))
    except Exception:  # another service on that port speaks another language
        return False
    finally:
        wire.close()
