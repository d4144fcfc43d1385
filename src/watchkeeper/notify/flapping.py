"""An incident that is back again and again: told once as flapping, and once when that is over."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog

from watchkeeper.domain import Event, Incident, now
from watchkeeper.settings.notify import FlappingSettings
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
BACK = "incident.reopened"
STEADY = "incident.steady"
KEPT = ("incident.reopened", "incident.closed", "alert.firing")
"""Not told of one that flaps. That it asks for somebody is."""
POLL = 60.0
"""Seconds until the store is asked without having heard of anything: another executor may have written."""
HISTORY = timedelta(days=7)
Verdict = Literal["tell", "begins", "keep"]


@dataclass(frozen=True, slots=True)
class State:
    """How it stood after an event: since when it flaps, and how often it was back since."""

    since: datetime | None = None
    times: int = 0
    escalated: bool = False


def states(events: Sequence[Event], said: FlappingSettings) -> list[State]:
    """After each of an incident's events, oldest first. Flapping: back `times` times within `within`."""
    found, state, back = list[State](), State(), list[datetime]()
    for event in events:
        if event.kind == BACK:
            back = [at for at in back if event.at - at <= timedelta(seconds=said.within)] + [event.at]
            if state.since is not None:
                state = State(state.since, state.times + 1, state.escalated)
            elif len(back) >= said.times:
                state = State(event.at, len(back))
        elif event.kind == STEADY:
            state, back = State(), []
        elif event.kind == "incident.escalated" and state.since is not None:
            state = State(state.since, state.times, escalated=True)
        found.append(state)
    return found


class Flapping:
    """Everything is worked out from the events in the store: after a restart it is the same."""

    def __init__(self, store: Store, said: FlappingSettings) -> None:
        self._store = store
        self._said = said
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._store.listen(self._hear)
        self._task = asyncio.create_task(self._settle(), name="flapping")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def verdict(self, event: Event) -> Verdict:
        """Whether people are told of an event, or that it begins to flap, or nothing."""
        if event.incident is None or event.kind not in (*KEPT, "incident.escalated"):
            return "tell"
        before = [one for one in await self._history(event.incident) if one.seq < event.seq]
        last = next(iter(states(before, self._said)[-1:]), State())
        if last.since is None:
            began = event.kind == BACK and states([*before, event], self._said)[-1].since is not None
            return "begins" if began else "tell"
        if event.kind == "incident.escalated":
            return "keep" if last.escalated else "tell"
        return "keep"

    def text(self, event: Event) -> str:
        within = self._said.within
        span = f"{within / 60:g} min" if within >= 60 else f"{within:g} s"
        return (
            f"it flaps: back {self._said.times} times within {span} ({event.text}); told again once it asks for "
            f"somebody, or stays well for {span}"
        )

    async def _history(self, incident: str) -> list[Event]:
        kinds = (BACK, STEADY, "incident.escalated")
        return await self._store.events(incident=incident, kinds=kinds, limit=1000, newest=True)

    def _hear(self, event: Event) -> None:
        if event.kind in (BACK, "incident.closed"):
            self._changed.set()

    async def _settle(self) -> None:
        """Write down, once its time has come, that one does not flap any more."""
        while True:
            self._changed.clear()
            try:
                seconds = await self._next()
            except Exception as problem:
                log.warning("whether incidents flap cannot be told now", problem=str(problem))
                seconds = POLL
            with suppress(TimeoutError):
                async with asyncio.timeout(min(POLL, seconds)):
                    await self._changed.wait()

    async def _next(self) -> float:
        """Seconds until the next one may be over."""
        back = await self._store.happened((BACK,), since=now() - HISTORY)
        often = [key for key, many in Counter(e.incident for e in back).items() if key and many >= self._said.times]
        left = [POLL]
        for key in often:
            if states(await self._history(key), self._said)[-1].since is None:
                continue
            incident = await self._store.find(Incident, key)
            if incident is None or incident.closed_at is None:
                continue
            remains = (incident.closed_at - now()).total_seconds() + self._said.within
            if remains <= 0:
                await self._over(incident)
            else:
                left.append(remains)
        return max(0.05, min(left))

    async def _over(self, incident: Incident) -> None:
        async with self._store.transaction() as transaction:
            state = states(await self._history(incident.id), self._said)[-1]
            present = await self._store.get(Incident, incident.id)
            if state.since is None or present.status != "closed":
                return
            text = (
                f"it flaps no more: {present.outcome} and well since; it was back {state.times} times "
                f"from {state.since:%Y-%m-%d %H:%M} UTC on"
            )
            event = Event(STEADY, present.id, text, now(), incident=present.id, resource=present.root)
            await transaction.emit(event)
