"""Who is not told of what: silences, what they kept back, and the one line that says so at the end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b

import structlog

from watchkeeper.domain import LOOP, Alert, Event, Resource, Silence, Window, now
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
KEPT_BACK = "notification.silenced"
ENDED = "silence.ended"
ABOUT_APPROVALS = ("approval.requested", "approval.expired")
"""Told also within a silence, unless it says otherwise: somebody is asked for something."""
NEVER = (ENDED, "breaker.opened")
"""What no silence keeps back."""
MOST = 10_000
RETOLD = 200
"""Messages among which is looked, at its end, for what still stands."""
AGAIN = 60.0
"""Seconds until the store is asked again where it could not be read."""


class Silences:
    """Everything is in the store: another executor, or the next start, sees the same."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.windows: Callable[[datetime], Awaitable[Sequence[Window]]] | None = None
        """The maintenance windows that hold at a time."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._end_in_time(), name="silences")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def standing(self, at: datetime) -> list[Silence]:
        """Those that hold at a time, newest first; also one that has ended since."""
        return [silence for silence in await self._store.select(Silence) if silence.begins <= at < silence.ends]

    async def add(self, silence: Silence, event: Event) -> None:
        await self._store.save(silence, event)
        self._changed.set()

    async def end(self, silence: Silence, by: str) -> Silence:
        """It is over, once; the webhook then says what it kept back."""
        at = now()
        ended = silence.expire(by, at)
        event = Event(ENDED, silence.id, f"the silence {silence.id} ({silence.about}) is over", at, by)
        async with self._store.transaction() as transaction:
            present = await self._store.get(Silence, silence.id)
            if present.status == "over":
                return present
            await transaction.put(ended)
            await transaction.emit(event)
        self._changed.set()
        return ended

    async def over(self, alerts: Sequence[Alert], at: datetime) -> dict[str, Silence]:
        """Which of these alerts are silenced at a time, by id."""
        standing = await self.standing(at)
        if not standing:
            return {}
        known = {resource.id: resource for resource in await self._store.resources()}
        return {alert.id: found for alert in alerts if (found := _first(standing, alert, known))}

    async def keeps_back(self, event: Event) -> Silence | None:
        """The silence because of which people are not told of an event: it is about every alert that stood then."""
        if event.kind in NEVER:
            return None
        await self._of_windows(event.at)
        standing = await self.standing(event.at)
        if event.kind in ABOUT_APPROVALS:
            standing = [silence for silence in standing if silence.approvals]
        if not standing:
            return None
        known = {resource.id: resource for resource in await self._store.resources()}
        if event.incident is None:
            about = known.get(event.resource or "")
            return next((s for s in standing if about and s.matches(about, "", "")), None)
        alerts = await self._store.select(Alert, incident=event.incident)
        stood = [a for a in alerts if a.pending_at <= event.at and (a.resolved_at or event.at) >= event.at] or alerts
        found = [_first(standing, alert, known) for alert in stood]
        return found[0] if found and all(found) else None

    async def _of_windows(self, at: datetime) -> None:
        """A maintenance window that is quiet becomes silences, once, when there is the first to be told within it."""
        for window in await self.windows(at) if self.windows is not None else ():
            for pattern in window.resources if window.quiet else ():
                key = _key(window, pattern)
                if await self._store.find(Silence, key) is not None:
                    continue
                why = f"maintenance {window.id}" + (f": {window.reason}" if window.reason else "")
                made = Silence(key, pattern, "", "", window.begins, window.ends, why, window.by)
                await self.add(made, Event("silence.started", key, f"{pattern} is silenced: {why}", now(), window.by))

    async def end_with(self, window: Window, by: str) -> None:
        """What a window kept back is told when somebody ends it earlier."""
        for pattern in window.resources:
            found = await self._store.find(Silence, _key(window, pattern))
            if found is not None and found.status == "standing":
                await self.end(found, by)

    async def keep_back(self, silence: Silence, event: Event) -> None:
        """Write down what was not told; once, however many channels there are."""
        if any(known.data["event"] == event.seq for known in await self._records(silence.id)):
            return
        text = f"{event.kind} was not told ({silence.id}, {silence.about}): {event.text}"
        data: dict[str, object] = {"event": event.seq, "kind": event.kind}
        told = Event(KEPT_BACK, silence.id, text, now(), incident=event.incident, resource=event.resource, data=data)
        await self._store.emit(told)

    async def kept_back(self, key: str) -> Counter[str]:
        """How many messages of each kind a silence kept back."""
        return Counter({event.data["event"]: str(event.data["kind"]) for event in await self._records(key)}.values())

    async def kept(self, key: str) -> list[Event]:
        """What a silence kept back, oldest first; of many the last."""
        found = list[Event]()
        for number in sorted({int(str(event.data["event"])) for event in await self._records(key)})[-RETOLD:]:
            found += await self._store.events(after=number - 1, limit=1)
        return found

    async def _records(self, key: str) -> list[Event]:
        return await self._store.events(kinds=(KEPT_BACK,), subject=key, limit=MOST)

    async def _end_in_time(self) -> None:
        while True:
            self._changed.clear()
            try:
                silences = await self._store.select(Silence, status="standing")
                for silence in silences:
                    if silence.ends <= now():
                        await self.end(silence, LOOP.id)
                left = [(s.ends - now()).total_seconds() for s in silences if s.ends > now()]
                seconds = min(left, default=None)
            except Exception as problem:
                log.warning("silences cannot be read now", problem=str(problem))
                seconds = AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(None if seconds is None else max(0.05, seconds)):
                    await self._changed.wait()


def _key(window: Window, pattern: str) -> str:
    """Of the silence of one occurrence of a window."""
    made = f"{window.id} {window.begins.isoformat()} {pattern}"
    return f"sil-{blake2b(made.encode(), digest_size=4).hexdigest()}"


def counted(kinds: Mapping[str, int]) -> str:
    """`3 messages were kept back (2 × incident.opened, 1 × incident.closed)`."""
    number = sum(kinds.values())
    which = ", ".join(f"{many} × {kind}" for kind, many in sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0])))
    return f"{number} message{'s were' if number != 1 else ' was'} kept back" + (f" ({which})" if which else "")


def _first(standing: Sequence[Silence], alert: Alert, known: Mapping[str, Resource]) -> Silence | None:
    resource = known.get(alert.resource)
    return next((s for s in standing if s.matches(resource, alert.rule, alert.severity)), None)
