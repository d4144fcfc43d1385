"""What was set while a thing ran and is in no file ends with its next start: that is said with the step that starts it,
before anybody agrees to it, where it is known to be so."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import structlog

from watchkeeper.decide import Decide
from watchkeeper.domain import Event, Plan, Resource, WatchkeeperError, now
from watchkeeper.domain.change import Fingerprint
from watchkeeper.domain.drift import Declared
from watchkeeper.store import Store
from watchkeeper.watch import Watch
from watchkeeper.watch.changes import KINDS, RESTART
from watchkeeper.watch.reverted import BESIDE

log = structlog.get_logger(__name__)
SECONDS = 5.0
"""How long one thing may take to tell with what it starts."""
_BACK = timedelta(days=90)
_STARTS = ("change.restart", "change.deploy")


async def foretold(plan: Plan, store: Store, watch: Watch, decide: Decide) -> Plan:
    """The plan, and with each step that starts or restarts something what that takes back."""
    if plan.undoes or not any(tool.revives for tool in decide.tools_of(plan)):
        return plan
    steps = list(plan.steps)
    for index, step in enumerate(steps):
        if decide.tool(step.tool).revives and (said := await _lapses(step.resource, store, watch)):
            steps[index] = replace(step, why=f"{step.why} {said}".strip())
    return replace(plan, steps=tuple(steps))


async def _lapses(resource: str, store: Store, watch: Watch) -> str:
    """In a sentence, what a start of it ends; empty where nothing is known to."""
    carried = [known.id for known in watch.fleet.resources.values() if known.runs_on == resource]
    found = [said for key in (resource, *carried) for said in await _of(key, store, watch)]
    return f"What was set while it ran and is in no file does not come back: {'; '.join(found)}." if found else ""


async def _of(key: str, store: Store, watch: Watch) -> Sequence[str]:
    watcher = watch.watchers.get(key)
    if watcher is None or not hasattr(watcher.connector, "starting_with"):
        return ()
    resource = watcher.resource
    known = await store.find(Fingerprint, key)
    if known is None or known.incarnation != resource.incarnation:
        return ()
    tells = partial(_starting_with, connector=cast(Any, watcher.connector), live=known.values)
    try:
        declared: Sequence[Declared] = await watch.call(key, "what it starts with", tells, SECONDS)
    except (WatchkeeperError, TimeoutError, OSError) as problem:
        log.debug("with what it starts cannot be told", resource=key, problem=str(problem))
        return ()
    about = tuple(filter(None, (key, resource.runs_on)))
    events = await store.happened(KINDS, since=now() - _BACK, resources=about, limit=10_000)
    found: list[str] = []
    for one in declared:
        change = set_since_its_start(one.key, known.values[one.key], resource, events)
        if change is not None and one.declared != one.live:
            by = f"set by {change.data['fix']}" if change.data.get("fix") else "not set by Watchkeeper"
            told = f"{one.setting} of {resource.slug} will be {one.declared} ({one.where})"
            found.append(f"{told}, and was {one.live} ({by})")
    return found


def set_since_its_start(key: str, value: str, resource: Resource, events: Sequence[Event]) -> Event | None:
    """The change that gave a setting the value it has, where that was seen while the thing ran; None where it may have
    come with its start."""
    started: datetime | None = None
    last: tuple[Event, str] | None = None
    for event in sorted(events, key=lambda one: one.seq):
        if event.kind in _STARTS:
            started, last = event.at, None
        for change in cast("list[dict[str, str]]", event.data.get("changes") or []):
            if event.resource == resource.id and change["setting"] == key and event.kind not in _STARTS:
                came_with_it = started is not None and event.at - started <= BESIDE
                last = None if came_with_it or event.by == RESTART else (event, change["after"])
                started = None  # what comes after that is of the same run
    return last[0] if last is not None and last[1] == value else None


async def _starting_with(session: Any, *, connector: Any, live: Mapping[str, str]) -> Sequence[Declared]:
    return await connector.starting_with(session, live)
