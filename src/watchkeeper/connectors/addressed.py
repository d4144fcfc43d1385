"""Services with an address: named in the settings with a URL, found on a host, or both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit

from watchkeeper.connectors.naming import Found
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError

_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the URLs of one technology look like."""

    kind: str
    called: str
    """In a complaint: `a PostgreSQL`."""
    schemes: Mapping[str, int]
    """With the port of each where the URL names none."""
    example: str
    keeps: Sequence[str] = ("url", "username", "password")
    """What of an entry is settings of its resource."""
    check: Callable[[Mapping[str, Any], str], object] = lambda settings, where: None
    """Raises ConfigurationError for settings that are not valid."""

    def named(self, settings: Mapping[str, Any]) -> tuple[list[Resource], list[ConfigurationError]]:
        """The resources of the entries of this kind that have a URL, and what is wrong with others. An entry without a
        URL is about what is found on a host."""
        entries: Sequence[Mapping[str, Any]] = settings.get("resources") or ()
        named: list[Resource] = []
        wrong: list[ConfigurationError] = []
        for entry in entries:
            if entry.get("kind") == self.kind and entry.get("url"):
                try:
                    named.append(self._resource(entry))
                except ConfigurationError as problem:
                    wrong.append(problem)
        return named, wrong

    def _resource(self, entry: Mapping[str, Any]) -> Resource:
        name, url = str(entry.get("name") or self.kind), str(entry["url"])
        where = f"resources, {name}"
        parts = urlsplit(url)
        if parts.scheme not in self.schemes or not parts.hostname:
            what = f"{parts.scheme or 'this'}://… is no address of {self.called}"
            raise ConfigurationError(f"{where}: {what}.", self.example)
        if parts.password:
            raise ConfigurationError(f"{where}: the URL contains a password; it must be a reference.", self.example)
        try:
            port = parts.port or self.schemes[parts.scheme]
        except ValueError:
            raise ConfigurationError(f"{where}: the port in the URL is not a number.", self.example) from None
        given = {key: entry[key] for key in self.keeps if entry.get(key) is not None}
        settings = {**given, **cast("Mapping[str, Any]", entry.get("settings") or {})}
        self.check(settings, f"{where}, settings")
        provider = "local" if parts.hostname in _HERE else "remote"
        return Resource(
            id=f"{provider}/{entry.get('environment') or 'production'}/{self.kind}/{name}",
            slug=name.lower(),
            incarnation=f"{parts.hostname}:{port}",
            ports=(port,),
            may_act=bool(entry.get("act")),
            settings=settings,
        )


async def found_on(hosts: Sequence[Host], ask: Callable[[Host], Awaitable[Found | None]]) -> list[Found]:
    """What `ask` finds on each host, all asked at the same time; one that cannot be asked is passed over."""

    async def one(host: Host) -> Found | None:
        try:
            return await ask(host)
        except (WatchkeeperError, TimeoutError):
            return None

    return list(filter(None, await asyncio.gather(*map(one, hosts))))


def joined(named: Sequence[Resource], found: Sequence[Found]) -> Iterator[Resource]:
    """What was found on hosts, then what is named by its address. One that is both is one resource: with its name, and
    the host's hands."""
    addresses = {address_of(resource) for resource in named}
    for resource, endpoints in found:
        if addresses.isdisjoint(endpoints):
            yield resource
    for resource in named:
        yield with_host(resource, found)


async def discover(
    addresses: Addresses,
    hosts: Sequence[Host],
    settings: Mapping[str, Any],
    ask: Callable[[Host], Awaitable[Found | None]],
) -> AsyncIterator[Resource]:
    """Services on hosts and those named with a URL. Raises ConfigurationError, at the end, for an entry that is not
    valid."""
    named, wrong = addresses.named(settings)
    for resource in joined(named, await found_on(hosts, ask)):
        yield resource
    if wrong:
        raise wrong[0]


def address_of(named: Resource) -> tuple[str, int]:
    """Where a resource that is named by its address (`host:port` is its incarnation) is reached."""
    host, _, port = named.incarnation.rpartition(":")
    return ("127.0.0.1" if host in ("localhost", "::1") else host), int(port)


def with_host(named: Resource, found: Sequence[Found]) -> Resource:
    """One that is named by its address, with the hands of the host that it was found on."""
    address = address_of(named)
    for one, endpoints in found:
        if address in endpoints:
            return replace(named, runs_on=one.runs_on, incarnation=one.incarnation, labels=one.labels, ports=one.ports)
    return named
