"""The history as something to follow: its events with what they are about, and what somebody wants of them."""

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from pydantic import TypeAdapter

from watchkeeper.domain import Event, Incident
from watchkeeper.server.live.fanout import Wanted
from watchkeeper.store import Store, history

_EVENT = TypeAdapter(Event)
REMEMBERED = 2000
"""Incidents whose root is kept in mind."""


class Told:
    """An event, and what it is about: its resource, else the root of its incident. Written out once, for everybody."""

    def __init__(self, event: Event, about: str | None, slug: str | None) -> None:
        self.event = event
        self.about = about
        self.slug = slug
        self._body = ""

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def body(self) -> str:
        self._body = self._body or _EVENT.dump_json(self.event).decode()
        return self._body

    @property
    def sse(self) -> str:
        """As one server-sent event; what is not part of the history has no `id`."""
        number = f"id: {self.event.seq}\n" if self.event.seq else ""
        return f"{number}event: {self.event.kind}\ndata: {self.body}\n\n"

    @property
    def frame(self) -> str:
        """As one text frame."""
        return f'{{"type":"event","event":{self.body}}}'


@dataclass(frozen=True)
class EventsWanted:
    """Empty: everything. `resources` are ids and slugs, or globs over them."""

    kinds: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    incident: str | None = None

    def takes(self, message: Told) -> bool:
        if self.incident is not None and message.event.incident != self.incident:
            return False
        if self.kinds and not self._kinds.match(message.event.kind):
            return False
        if not self.environments and not self.resources:
            return True
        if message.about is None:
            return False
        if self.environments and message.about.split("/")[1:2] not in [[name] for name in self.environments]:
            return False
        return not self.resources or any(self._resources.match(name) for name in (message.about, message.slug) if name)

    @cached_property
    def _kinds(self) -> re.Pattern[str]:
        return _any(self.kinds)

    @cached_property
    def _resources(self) -> re.Pattern[str]:
        return _any(self.resources)


def _any(globs: Sequence[str]) -> re.Pattern[str]:
    """
    >>> bool(_any(["fix.*", "paused"]).match("fix.step.done")), bool(_any(["fix.*"]).match("prefix.x"))
    (True, False)
    """
    return re.compile("|".join(translate(glob) for glob in globs))


class Events:
    """The source. `slug_of` gives the name of a resource that is watched."""

    def __init__(self, store: Store, slug_of: Callable[[str], str | None]) -> None:
        self._store = store
        self._slug_of = slug_of
        self._roots: OrderedDict[str, str | None] = OrderedDict()

    async def newest(self) -> int:
        return await history.newest(self._store)

    async def follow(self, after: int) -> AsyncIterator[Told]:
        async for event in self._store.patiently().follow(after):
            if event is not None:
                yield await self.told(event)

    async def between(self, after: int, until: int, limit: int, wanted: Wanted[Told]) -> tuple[Sequence[Told], int]:
        kinds, incident = (wanted.kinds, wanted.incident) if isinstance(wanted, EventsWanted) else ((), None)
        found = await history.between(self._store, after, until, kinds=kinds, incident=incident, limit=limit)
        told = [await self.told(event) for event in found]
        return [one for one in told if wanted.takes(one)], found[-1].seq if len(found) == limit else until

    async def told(self, event: Event) -> Told:
        about = event.resource
        if about is None and event.incident is not None:
            about = await self._root(event.incident)
        return Told(event, about, self._slug_of(about) if about else None)

    async def _root(self, incident: str) -> str | None:
        if incident not in self._roots:
            found = await self._store.find(Incident, incident)
            self._roots[incident] = found.root if found else None
            if len(self._roots) > REMEMBERED:
                self._roots.popitem(last=False)
        return self._roots[incident]
