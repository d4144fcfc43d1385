"""The list of what is watched, each line and page of it written out once until something about it has changed."""

import asyncio
import json
import time
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from watchkeeper.domain import Incident, Resource
from watchkeeper.incidents import ACTIVE
from watchkeeper.server.paging import NoCursor, cursor_of, key_of
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.views import ResourceView, resource_view
from watchkeeper.store import Store
from watchkeeper.watch.conduct import Conduct
from watchkeeper.watch.watcher import Watcher

PAGE_LASTS = 0.05
"""Seconds for which a page is given again where nothing that is told of has changed: who looks after what (`tended_by`)
tells nobody. A resource is looked at five times a second at most."""
PAGES = 50
"""Pages remembered: askers differ in how many they want, seldom in more."""
_written: WeakKeyDictionary[Watcher, tuple[tuple[Any, ...], bytes]] = WeakKeyDictionary()
_asking: "WeakKeyDictionary[Store, asyncio.Lock]" = WeakKeyDictionary()
_taking_part: "WeakKeyDictionary[Store, TakingPart]" = WeakKeyDictionary()


@dataclass(frozen=True)
class TakingPart:
    """`commits`: how many there were when it was asked."""

    commits: int
    incidents: Mapping[str, Incident]


async def incidents_by_resource(store: Store) -> Mapping[str, Incident]:
    """The incident each resource takes part in; asked anew once anything was committed, as each change of an incident
    is told by an event in its transaction. Once for all who want to know at the same time: while something is fixed
    there are many commits a second, and to ask for each request after each took up to 0.3 s."""
    wanted = store.commits
    known = _taking_part.get(store)
    if known is not None and known.commits >= wanted:
        return known.incidents
    async with _asking.setdefault(store, asyncio.Lock()):
        known = _taking_part.get(store)
        if known is None or known.commits < wanted:
            commits = store.commits  # before it is asked: what comes meanwhile makes it old
            active = await store.select(Incident, status=ACTIVE)
            found = {resource: incident for incident in reversed(active) for resource in incident.resources}
            known = _taking_part[store] = TakingPart(commits, found)
        return known.incidents


def line(runtime: Runtime, watcher: Watcher, incident: str | None) -> bytes:
    """One resource as JSON."""
    key = watcher.resource.id
    tended = runtime.watch.tending.said(key)
    facts = (watcher.resource, watcher.health, watcher.state, watcher.since, incident, *tended)
    known = _written.get(watcher)
    if known is None or known[0] != facts:
        view = resource_view(watcher.resource, watcher.health, watcher.state, watcher.since, incident, tended)
        known = _written[watcher] = (facts, ResourceView(**view).model_dump_json().encode())
    return known[1]


@dataclass(frozen=True)
class Written:
    """A page, with what was on it when it was written."""

    body: bytes
    at: float
    incidents: Mapping[str, Incident]
    number: int
    shown: Sequence[tuple[str, Watcher, Resource, int]]
    quarantined: Collection[tuple[Conduct, bool]]

    def stands(self, runtime: Runtime, incidents: Mapping[str, Incident]) -> bool:
        """Whether it would be written so again."""
        watchers = runtime.watch.watchers
        return (
            time.monotonic() - self.at < PAGE_LASTS
            and self.incidents is incidents
            and self.number == len(watchers)
            and all(
                watchers.get(key) is watcher and watcher.resource is resource and watcher.revision == revision
                for key, watcher, resource, revision in self.shown
            )
            and all(conduct.quarantined is was for conduct, was in self.quarantined)
        )


_pages: "WeakKeyDictionary[Store, dict[tuple[int, str | None], Written]]" = WeakKeyDictionary()


def page_written(runtime: Runtime, limit: int, after: str | None, incidents: Mapping[str, Incident]) -> bytes:
    """One page of what is looked at from here. Raises NoCursor."""
    pages = _pages.setdefault(runtime.store, {})
    known = pages.pop((limit, after), None)
    if known is None or not known.stands(runtime, incidents):
        at = time.monotonic()
        watchers = dict(runtime.watch.watchers)
        keys, following = names_after(watchers, after, limit)
        given = [(key, watchers[key]) for key in keys]
        shown = [(key, watcher, watcher.resource, watcher.revision) for key, watcher in given]
        lines = [line(runtime, one, incidents[key].id if key in incidents else None) for key, one in given]
        conducts = {id(one.conduct): (one.conduct, one.conduct.quarantined) for _, one in given}.values()
        known = Written(page_of(lines, following), at, incidents, len(watchers), shown, conducts)
    pages[limit, after] = known
    while len(pages) > PAGES:
        del pages[next(iter(pages))]
    return known.body


def names_after(names: Collection[str], after: str | None, limit: int) -> tuple[list[str], str | None]:
    """A page of names, and the cursor of the next where there is one. Raises NoCursor."""
    ordered = sorted(names)
    begin = 0
    if after is not None:
        last = key_of(after)
        if len(last) != 1 or not isinstance(last[0], str):
            raise NoCursor("`after` is not a cursor of this list.", "Take the `next` of the page before.")
        begin = bisect_right(ordered, last[0])
    given = ordered[begin : begin + limit]
    return given, cursor_of((given[-1],)) if begin + limit < len(ordered) else None


def page_of(lines: Collection[bytes], following: str | None) -> bytes:
    """The whole answer."""
    return b'{"items":[' + b",".join(lines) + b'],"next":' + json.dumps(following).encode() + b"}"
