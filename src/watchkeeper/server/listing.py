"""The list of what is watched, each line of it written out once until something about it has changed."""

import json
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from watchkeeper.domain import Incident
from watchkeeper.incidents import ACTIVE
from watchkeeper.server.paging import NoCursor, cursor_of, key_of
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.views import ResourceView, resource_view
from watchkeeper.store import Store
from watchkeeper.watch.watcher import Watcher

_written: WeakKeyDictionary[Watcher, tuple[tuple[Any, ...], bytes]] = WeakKeyDictionary()
_taking_part: "WeakKeyDictionary[Store, TakingPart]" = WeakKeyDictionary()


@dataclass(frozen=True)
class TakingPart:
    """`commits`: how many there were when it was asked."""

    commits: int
    incidents: Mapping[str, Incident]


async def incidents_by_resource(store: Store) -> Mapping[str, Incident]:
    """The incident each resource takes part in; asked anew once anything was committed, as each change of an incident
    is told by an event in its transaction."""
    known = _taking_part.get(store)
    if known is None or known.commits != store.commits:
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
