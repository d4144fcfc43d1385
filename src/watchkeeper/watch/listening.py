"""What logs say: each host's is followed, what is worth keeping is kept, and its templates are learnt."""

import asyncio
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.domain import Evidence, Fix, Level, LogLine, now
from watchkeeper.store import Store
from watchkeeper.watch.logs import LogFollower
from watchkeeper.watch.templates import FAILING, Miner, Remarkable
from watchkeeper.watch.watcher import Watcher

MOST = 5
"""Remarkable templates that are made evidence of; how many there are besides is said."""
AFTERMATH = timedelta(seconds=15)
"""What was started anew goes on to say what it says at its start for so long; ours."""
_ACTED = ("acting", "done", "failed", "unknown")
QUOTED = 200
"""Characters of a log line in a sentence."""


@dataclass(frozen=True, slots=True)
class Doing:
    """When a fix of ours was at work, until it was through (None: it is still). What logs say then is of that, and no
    evidence of what was before; but where it did not help, an error may say why."""

    since: datetime
    until: datetime | None
    helped: bool

    def explains(self, at: datetime, level: Level | None) -> bool:
        """Whether what a log began to say at that time may come of it."""
        within = self.since <= at and (self.until is None or at <= self.until + AFTERMATH)
        return within and (self.helped or level not in ("ERROR", "CRITICAL"))


def doings(fixes: Iterable[Fix], places: Container[str]) -> tuple[Doing, ...]:
    """Of these fixes those that changed something there."""
    found: list[Doing] = []
    for fix in fixes:
        acted = [one for one in (*fix.steps, *fix.undo) if one.status in _ACTED and one.started_at is not None]
        if any(one.resource in places for one in acted):
            since = min(one.started_at for one in acted if one.started_at is not None)
            helped = fix.verdict is None or fix.verdict.outcome == "healed"
            found.append(Doing(since, fix.finished_at, helped))
    return tuple(found)


class Listening:
    """Followers and what they have learnt, by resource. Templates are learnt anew after a restart of ours."""

    def __init__(self, store: Store, pause: float) -> None:
        self._store = store
        self._pause = pause
        self._followers: dict[str, LogFollower] = {}
        self.miners: dict[str, Miner] = {}

    async def begin(self, watcher: Watcher, carriers: Collection[str | None]) -> None:
        """One follower per host: the service's, which knows its own patterns, rather than its container's."""
        resource, host = watcher.resource, watcher.host
        await self._stop(resource.id)
        if host is None or resource.id in carriers:
            return
        if resource.runs_on is not None:
            await self.leave(resource.runs_on)
        miner = self.miners.setdefault(resource.id, Miner(now()))  # what was made anew says much the same
        masker = self._store.masker

        def learn(text: str, level: Level | None, at: datetime) -> None:
            miner.learn(text, level, at, masker.text)

        self._followers[resource.id] = LogFollower(
            resource, host, watcher.connector, self._keep, self._pause, learn, miner.missed
        )

    async def leave(self, key: str) -> None:
        """Follow and remember it no more."""
        await self._stop(key)
        self.miners.pop(key, None)

    async def stop(self) -> None:
        await asyncio.gather(*(follower.stop() for follower in self._followers.values()))

    async def _stop(self, key: str) -> None:
        if (follower := self._followers.pop(key, None)) is not None:
            await follower.stop()

    async def _keep(self, line: LogLine) -> None:
        async with self._store.transaction() as transaction:
            await transaction.keep_logs([line])

    def evidence(
        self,
        resources: Iterable[str],
        begin: datetime,
        until: datetime,
        doings: Sequence[Doing] = (),
        further: Iterable[str] = (),
    ) -> tuple[Evidence, ...]:
        """What is new or sharply more frequent in their logs within the time, and did not come of what we did ourselves
        (`doings`); what weighs most first. Of what is `further` away only errors count, and where no error is new or
        more frequent anywhere, those that go on."""
        near = list(resources)
        keys = [key for key in (*near, *further) if key in self.miners]
        found = [
            (order, key, told)
            for order, key in enumerate(keys)
            for told in self.miners[key].remarkable(begin, until)
            if key in near or told.template.level in FAILING
        ]
        if not any(told.template.level in FAILING for _, _, told in found):
            going_on = [self.miners[key].failing(begin, until) for key in keys]
            found += [(n, keys[n], told) for n, told in enumerate(going_on) if told is not None]
        found = [one for one in found if not any(d.explains(one[2].at, one[2].template.level) for d in doings)]
        found.sort(key=lambda one: (one[2].rank, one[0]))
        told = [Evidence(key, one.at, _said(one)) for _, key, one in found[:MOST]]
        if len(found) > MOST:
            names = f"`watchkeeper logs {found[MOST][1]} --templates`"
            more = f"{len(found) - MOST} more log templates are new or more frequent: {names}"
            told.append(Evidence(found[MOST][1], until, more))
        return tuple(told)


def _said(one: Remarkable) -> str:
    return f"{one.said}: {f'{one.template.level}: ' if one.template.level else ''}{quoted(one.template.example)}"


def quoted(line: str) -> str:
    """As much of a log line as a sentence holds."""
    return line if len(line) <= QUOTED else f"{line[:QUOTED]} …"
