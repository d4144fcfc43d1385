"""Changes are noticed: what a look says of the configuration is compared with what was known, also over a restart."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import cast

import structlog

from watchkeeper.domain import Event, Fix, Incident, Reading, Resource, now
from watchkeeper.domain.change import CREATED, STARTED, Difference, Fingerprint, compare, made_by, merged
from watchkeeper.domain.spoken import spoken
from watchkeeper.store import Store, StoreAway
from watchkeeper.watch.correlation import ties
from watchkeeper.watch.reverted import restarted, set_by

log = structlog.get_logger(__name__)
OTHERS = "others"
"""Who made a change that no fix of ours explains."""
RESTART = "restart"
"""What took back what a fix of ours had set: nobody made that change."""
ACTIVE = ("open", "diagnosing", "awaiting_approval", "fixing", "verifying", "escalated")
LATELY = timedelta(hours=24)
"""How far back a change may have to do with an incident."""
KINDS = (
    "change.image",
    "change.config",
    "change.limits",
    "change.restart",
    "change.stop",
    "change.deploy",
    "resource.gone",
)
_MAY_BE_LATE = timedelta(minutes=10)
"""A fix of ours may be that much older than the look before, and still be what made a change."""


async def _nobody(_: str) -> None:
    return None


class Noticer:
    """Hand it every reading (`hear`); it compares those that tell a configuration, one after the other."""

    def __init__(self, store: Store, resources: Callable[[], Mapping[str, Resource]]) -> None:
        self._store = store
        self._resources = resources
        self.noticed: Callable[[str], Awaitable[None]] = _nobody
        """Called with a resource once a change of it is told."""
        self._ran: set[str] = set()
        """Those seen to run."""
        self._known: dict[str, Fingerprint] = {}
        self._compared: set[str] = set()
        """Those compared since the start: what differs at the first time was changed while nobody watched."""
        self._began = now()
        self._heard: asyncio.Queue[tuple[Resource, Reading]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From what is known of former runs."""
        kept = await self._store.select(Fingerprint, limit=1_000_000)
        self._known = {known.id: known for known in kept}
        if kept:
            self._began = min(known.at for known in kept)
        self._task = asyncio.create_task(self._run(), name="changes")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hear(self, reading: Reading) -> None:
        """Takes readings as they come; never waits."""
        stopped = self._stops(reading)
        if reading.configuration is None and not stopped:
            return
        resource = self._resources().get(reading.resource)
        if resource is not None:
            self._heard.put_nowait((resource, reading))

    def _stops(self, reading: Reading) -> bool:
        """Whether it shows that what was seen to run is stopped on purpose."""
        if reading.metrics.get("running", 0.0) > 0:
            self._ran.add(reading.resource)
        elif reading.metrics.get("stopped_on_purpose", 0.0) > 0 and reading.resource in self._ran:
            self._ran.discard(reading.resource)
            return True
        return False

    async def settled(self) -> None:
        """Once everything heard so far is compared."""
        await self._heard.join()

    async def _run(self) -> None:
        while True:
            resource, reading = await self._heard.get()
            try:
                if reading.metrics.get("stopped_on_purpose", 0.0) > 0:
                    await self._stopped(resource, reading)
                if reading.configuration is not None:
                    await self._compare(resource, reading)
            except StoreAway as problem:  # the next look compares again
                log.warning("a change could not be recorded", resource=resource.id, problem=problem.what)
            except Exception:
                log.exception("a change could not be recorded", resource=resource.id)
            finally:
                self._heard.task_done()

    async def _stopped(self, resource: Resource, reading: Reading) -> None:
        """Told, unless a fix of ours is about to start it again."""
        related = self._related(resource)
        at_work = await self._store.select(Fix, status=("running", "executed", "undoing"))
        if any(step.resource in related for fix in at_work for step in fix.plan.steps):
            return
        when = reading.at - timedelta(seconds=reading.metrics.get("ended_seconds", 0.0))
        text = f"{resource.slug}: stopped on purpose, not by Watchkeeper"
        event = _event("change.stop", resource, text, (), None, await self._incident(resource))
        await self._store.emit(replace(event, at=when))

    async def _compare(self, resource: Resource, reading: Reading) -> None:
        fresh = Fingerprint(resource.id, resource.incarnation, reading.configuration or {}, reading.at)
        known = self._known.get(resource.id)
        if known is not None and resource.id in self._compared and self._same(known, fresh):
            return
        known = await self._store.find(Fingerprint, resource.id)  # another executor may have looked meanwhile
        events: list[Event] = []
        if known is not None:
            events = await self._told(resource, self._masked(known), self._masked(fresh))
        elif _later(fresh.values.get(CREATED), self._began):
            events = [_event("change.deploy", resource, f"{resource.slug} is new", (), None, None)]
        fresh = merged(known, fresh)
        async with self._store.transaction() as transaction:
            await transaction.put(fresh)
            for event in events:
                await transaction.emit(event)
        self._known[resource.id] = fresh
        self._compared.add(resource.id)
        if events:
            await self.noticed(resource.id)

    def _same(self, known: Fingerprint, fresh: Fingerprint) -> bool:
        return merged(known, fresh).values == known.values and known.incarnation == fresh.incarnation

    def _masked(self, of: Fingerprint) -> Fingerprint:
        """What is stored is masked, and a secret learnt since is no change."""
        return replace(of, values=self._store.masker.value(of.values))

    async def _told(self, resource: Resource, known: Fingerprint, fresh: Fingerprint) -> list[Event]:
        """The events that tell what is another now."""
        found = compare(known, fresh)
        started = any(difference.setting == STARTED for difference in found)
        anew = known.incarnation != fresh.incarnation
        if resource.runs_on in self._resources():  # what carries it tells of its starts, and that it was made anew
            found, anew = tuple(d for d in found if d.setting != STARTED), False
        if not found and not anew:
            return []
        unwatched = resource.id not in self._compared
        related = self._related(resource)
        since = (known.at if unwatched else fresh.at) - _MAY_BE_LATE
        fixes = [fix for fix in await self._store.select(Fix, limit=50) if (fix.finished_at or now()) >= since]
        incident = await self._incident(resource)
        known_by_now = await self._explained(resource, fixes)
        told: list[Event] = []
        begun = made_by(Difference(STARTED, "", ""), fresh.at, fixes, related)
        if anew:
            said = ", ".join(difference.text for difference in found) or "with the same configuration"
            text = f"{resource.slug} was made anew: {said}" + _when(unwatched)
            return [_event("change.deploy", resource, f"{text}, not by Watchkeeper", found, None, incident)]
        for kind, group in groupby(sorted(found, key=lambda d: KINDS.index(d.kind)), key=lambda d: d.kind):
            for fix, differences in _by_fix(tuple(group), fresh, fixes, related, known_by_now):
                lost = "" if fix else await self._lost(resource, differences, fresh.at, begun, started=started)
                by = f"by {fix.id}" if fix else lost or "not by Watchkeeper"
                text = f"{resource.slug}: {', '.join(d.text for d in differences)}{_when(unwatched)}, {by}"
                event = _event(kind, resource, text, differences, fix, fix.incident if fix else incident)
                told.append(replace(event, by=RESTART) if lost else event)
        return told

    async def _lost(
        self, resource: Resource, differences: Sequence[Difference], at: datetime, begun: Fix | None, *, started: bool
    ) -> str:
        """That these came with a restart, which ends what was set at run time; empty where none was seen. `begun`: the
        fix of ours that has just started something there."""
        anew = started or await restarted(self._store, tuple(filter(None, (resource.id, resource.runs_on))), at)
        if not anew and begun is None:
            return ""
        setters = [await set_by(self._store, resource.id, d.setting, d.before, at) for d in differences]
        if all(setters):
            return f"its restart took back what {' and '.join(dict.fromkeys(setters))} had set"
        return f"as {begun.id} started it anew" if anew and begun else ""

    async def _explained(self, resource: Resource, fixes: Sequence[Fix]) -> frozenset[tuple[str, str, str, str]]:
        """What each of these fixes was told to have made of it already (fix, setting, before, after): each makes a
        change once, and the same change later is somebody else's."""
        if not fixes:
            return frozenset()
        since = min(fix.started_at for fix in fixes)
        found = await self._store.happened(KINDS, since=since, resources=(resource.id,))
        return frozenset(
            (str(event.data["fix"]), change["setting"], change["before"], change["after"])
            for event in found
            if event.data.get("fix")
            for change in cast("list[dict[str, str]]", event.data.get("changes") or [])
        )

    def _related(self, resource: Resource) -> frozenset[str]:
        """The thing, what carries it, and what runs on it: a restart of one is one of the other."""
        on_it = [known.id for known in self._resources().values() if known.runs_on == resource.id]
        return frozenset(filter(None, (resource.id, resource.runs_on, *on_it)))

    async def _incident(self, resource: Resource) -> str | None:
        active = await self._store.select(Incident, status=ACTIVE)
        return next((incident.id for incident in active if resource.id in incident.resources), None)


def _by_fix(
    differences: tuple[Difference, ...],
    fresh: Fingerprint,
    fixes: list[Fix],
    related: frozenset[str],
    explained: frozenset[tuple[str, str, str, str]],
) -> list[tuple[Fix | None, list[Difference]]]:
    sorted_out: dict[str, tuple[Fix | None, list[Difference]]] = {}
    for difference in differences:
        at = _moment(difference.after) if difference.setting == STARTED else None
        what = (difference.setting, difference.before, difference.after)
        fix = made_by(difference, at or fresh.at, [one for one in fixes if (one.id, *what) not in explained], related)
        sorted_out.setdefault(fix.id if fix else "", (fix, []))[1].append(difference)
    return list(sorted_out.values())


def _event(
    kind: str,
    resource: Resource,
    text: str,
    differences: tuple[Difference, ...] | list[Difference],
    fix: Fix | None,
    incident: str | None,
) -> Event:
    changes: list[object] = [{"setting": d.setting, "before": d.before, "after": d.after} for d in differences]
    data: dict[str, object] = {"changes": changes, "fix": fix.id if fix else None}
    by = fix.principal.id if fix else OTHERS
    return Event(kind, resource.id, text, now(), by=by, incident=incident, resource=resource.id, data=data)


AGAIN = 3
"""So many starts within a day are one thing that goes on, and hardly the cause of it."""


def _when(unwatched: bool) -> str:
    return " (while it was not watched)" if unwatched else ""


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _later(text: str | None, than: datetime) -> bool:
    at = _moment(text or "")
    return at is not None and at > than


def concerned(resources: Iterable[str], known: Mapping[str, Resource]) -> tuple[str, ...]:
    """These, what they need, and what runs on it: a change of any of them may be why, or what helped."""
    of = ties(known)
    wanted = {needed for key in resources for needed in of.needs(key)}
    return tuple(sorted(wanted.union(*(of.carried.get(key, ()) for key in wanted))))


async def lately(
    store: Store,
    known: Mapping[str, Resource],
    resources: Iterable[str],
    opened_at: datetime,
    until: datetime | None = None,
) -> list[Event]:
    """Changes of an incident's resources, of what they need and of what runs on that, from a day before it opened until
    it was over; the nearest to its opening first."""
    wanted = concerned(resources, known)
    found = await store.happened(KINDS, since=opened_at - LATELY, until=until, resources=wanted)
    return sorted(found, key=lambda event: abs((event.at - opened_at).total_seconds()))


async def meanwhile(store: Store, known: Mapping[str, Resource], incident: Incident) -> tuple[str, ...]:
    """What others changed of what an incident is about, or of what that needs, while it was open: it may be what ended
    it. The last three, in a sentence each."""
    found = await lately(store, known, incident.resources, incident.opened_at, now())
    theirs = sorted((one for one in found if one.at >= incident.opened_at and one.by == OTHERS), key=lambda one: one.at)
    return tuple(f"meanwhile {one.text}" for one in theirs[-3:])


def told_lately(changes: Sequence[Event], at: datetime, *, most: int = 3) -> str:
    """The last of them in one sentence; empty where there are none. What starts again and again is told once, and after
    the changes that may be why."""
    starts: defaultdict[str, list[Event]] = defaultdict(list)
    for change in changes:
        if change.kind == "change.restart":
            starts[change.subject].append(change)
    often = {subject: events for subject, events in starts.items() if len(events) >= AGAIN}
    others = [one for one in changes if one.kind != "change.restart" or one.subject not in often]
    told = [_ago(one, at) for one in others] + [_ago(many[0], at, len(many)) for many in often.values()]
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return f"Changed lately: {'; '.join(told[:most])}{more}." if told else ""


def _ago(change: Event, at: datetime, times: int = 1) -> str:
    again = f", the last of {times} times" if times > 1 else ""
    return f"{change.text} ({spoken(max(0.0, (at - change.at).total_seconds()))} before{again})"
