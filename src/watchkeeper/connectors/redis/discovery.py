"""Which Redis servers there are: in containers, named in the settings, or plainly on this machine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

from watchkeeper.connectors.naming import address_of, service_on, with_host
from watchkeeper.connectors.redis import access
from watchkeeper.connectors.redis.wire import ServerSaid, Wire
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError

_LOCAL = ("127.0.0.1", 6379)


async def discover(hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
    """Servers on hosts, then those named with a URL; where there are neither, one on this machine's usual port.

    A host that cannot be asked is passed over. Raises ConfigurationError for settings of the wrong type.
    """
    named = [resource for entry in _entries(settings) if (resource := _named(entry))]
    answers = await asyncio.gather(*(_on_host(host) for host in hosts))
    taken: set[tuple[str, int]] = set()
    for resource, endpoints in filter(None, answers):
        taken.update(endpoints)
        if not any(address_of(one) in endpoints for one in named):
            yield resource
    for resource in named:
        yield with_host(resource, filter(None, answers))
    if not named and _LOCAL not in taken and await _answers(*_LOCAL):
        yield Resource(
            "local/production/redis/redis", "redis", ports=(6379,), settings={"url": "redis://127.0.0.1:6379"}
        )


async def _on_host(host: Host) -> tuple[Resource, Sequence[tuple[str, int]]] | None:
    try:
        processes = await host.processes()
        if not access.is_server(processes):
            return None
        resource = service_on(host, kind="redis")
        said = str(resource.settings.get("port") or "")
        port = int(said) if said.isdigit() else access.port(processes)
        return replace(resource, ports=(port,)), await host.endpoints(access.port(processes))
    except (WatchkeeperError, TimeoutError):
        return None


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


def _entries(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: Any = settings.get("resources") or []
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in cast(list[Any], found)):
        raise ConfigurationError("`resources` must be a list of mappings.", "Each begins with `- name: …`.")
    return [entry for entry in cast(list[Mapping[str, Any]], found) if entry.get("kind") == "redis"]


_TYPES: Mapping[str, type] = {
    "name": str,
    "url": str,
    "password": str,
    "username": str,
    "environment": str,
    "act": bool,
}


def _named(entry: Mapping[str, Any]) -> Resource | None:
    """The resource of an entry with a URL; one without is about a server that is found on a host."""
    for key, kind in _TYPES.items():
        if entry.get(key) is not None and not isinstance(entry[key], kind):
            name = entry.get("name", "?")
            raise ConfigurationError(
                f"resources, {name}: `{key}` must be {'true or false' if kind is bool else 'text'}, not {entry[key]!r}."
            )
    if not entry.get("url"):
        return None
    name, url = entry.get("name") or "redis", str(entry["url"])
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ConfigurationError(f"resources, {name}: {parts.scheme or 'this'}://… is no address of a Redis.", _EXAMPLE)
    if parts.password:
        raise ConfigurationError(f"resources, {name}: the URL contains a password; it must be a reference.", _EXAMPLE)
    try:
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"resources, {name}: the port in the URL is not a number.", _EXAMPLE) from None
    beside = cast(Mapping[str, Any], entry.get("settings") or {})
    given = {key: entry[key] for key in ("url", "password", "username", "cache_keys") if entry.get(key) is not None}
    kept = {**given, **beside}
    if (password := kept.get("password")) and not str(password).startswith(("env:", "file:")):
        raise ConfigurationError(f"resources, {name}: the password must be a reference.", "env:NAME or file:PATH")
    access.patterns(kept.get("cache_keys"))
    provider = "local" if parts.hostname in ("127.0.0.1", "localhost", "::1") else "remote"
    environment = str(entry.get("environment") or "production")
    return Resource(
        id=f"{provider}/{environment}/redis/{name}",
        slug=str(name).lower(),
        incarnation=f"{parts.hostname}:{parts.port or 6379}",
        ports=(parts.port or 6379,),
        may_act=bool(entry.get("act")),
        settings=kept,
    )


_EXAMPLE = "For example: {name: cache, kind: redis, url: redis://10.0.0.5:6379, password: env:CACHE_PASSWORD}."
