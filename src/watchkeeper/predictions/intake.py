"""Takes pushes: many at a time in one transaction, each exactly once, and answers when it is kept."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.domain import Conflict, WatchkeeperError, now
from watchkeeper.predictions.buckets import Bucket, bucket, coarser
from watchkeeper.predictions.kept import (
    Sender,
    body_of,
    delete_body,
    followed,
    packed,
    put_body,
    put_sender,
    senders,
    unnamed,
    unpacked,
)
from watchkeeper.store import Store, schema
from watchkeeper_monitor import Profile

log = structlog.get_logger(__name__)
GATHER = 0.2
"""Seconds between two transactions at least: what comes meanwhile shares one."""
AT_ONCE = 500
"""Pushes in one transaction: nobody else writes meanwhile. Of one model they are merged first, and kept once."""
MOST_WAITING = 2000
MOST_MODELS, MOST_VERSIONS = 1000, 100
TIDY = 300.0
"""Seconds between two rounds that make old buckets wider and forget what is too old."""
LEDGER = timedelta(days=30)
"""For how long a process that pushes no more is remembered: a push that comes again later would count twice."""


class Busy(WatchkeeperError):
    """More comes than can be kept: whoever pushes tries again."""

    status = 503


@dataclass(frozen=True, slots=True)
class Push:
    """One push, checked and decoded: of a profile, or of rows, which are kept elsewhere."""

    process: str
    model: str
    version: str
    """Empty where it says none."""
    sequence: int | None
    """None: not numbered; it counts always."""
    sender: Sender | None = None
    profile: Profile | None = None


@dataclass(slots=True)
class Taken:
    """What became of a push."""

    taken: bool
    """False: it had come before, and was not counted again."""


@dataclass(slots=True)
class _Waiting:
    push: Push
    answer: asyncio.Future[Taken] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class Intake:
    store: Store
    keep: timedelta
    """For how long profiles are kept."""
    merged: int = 0
    """Profiles merged since the start."""
    _waiting: list[_Waiting] = field(default_factory=list["_Waiting"])
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name="pushes")]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiting in self._waiting:
            waiting.answer.cancel()

    async def take(self, push: Push) -> Taken:
        """Returns once it is kept. Raises Busy, Conflict, StoreAway."""
        if len(self._waiting) >= MOST_WAITING:
            raise Busy("More is pushed than can be kept.", "It is tried again; push less often: push_seconds.")
        waiting = _Waiting(push)
        self._waiting.append(waiting)
        self._more.set()
        return await waiting.answer

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                began = time.monotonic()
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                try:
                    await self._keep(batch)
                except Exception as problem:
                    _answer(batch, problem)
                if not self._waiting:
                    await asyncio.sleep(max(0.0, GATHER - (time.monotonic() - began)))  # a rate: others come meanwhile

    async def _keep(self, batch: Sequence[_Waiting]) -> None:
        answers: list[tuple[_Waiting, Taken | Exception]] = []
        async with self.store.transaction() as transaction:
            connection = transaction.connection
            known = await senders(connection, list({each.push.process for each in batch}))
            there = {*known}
            fresh: dict[tuple[str, str, Bucket], Profile] = {}
            strangers = [each for each in batch if each.push.process not in known]
            room = await self._room(connection, strangers) if strangers else {}
            for each in batch:
                push = each.push
                before = known.get(push.process)
                if before is not None and push.sequence is not None and push.sequence <= before.sequence:
                    answers.append((each, Taken(taken=False)))
                    continue
                if problem := room.get((push.model, push.version)):
                    answers.append((each, problem))
                    continue
                known[push.process] = _followed(before, push)
                answers.append((each, Taken(taken=True)))
                if push.profile is not None and push.sender is not None and counted(push.profile):
                    key = (push.model, push.version, _bucket(push.profile, push.sender))
                    _into(fresh, key, push.profile)
            bodies = [await body_of(connection, *key) for key in fresh]
            merged = await asyncio.to_thread(_all_merged, bodies, list(fresh.values()))
            for key, body in zip(fresh, merged, strict=True):
                await put_body(connection, *key, body)
            for key in {each.push.process for each, said in answers if isinstance(said, Taken) and said.taken}:
                await put_sender(connection, known[key], known=key in there)
        for each, said in answers:
            self.merged += isinstance(said, Taken) and said.taken
            _settle(each, said)

    async def _room(self, connection: AsyncConnection, batch: Sequence[_Waiting]) -> dict[tuple[str, str], Conflict]:
        """Why a version that is new here is not taken: there are too many already."""
        wanted = {(each.push.model, each.push.version) for each in batch}
        table = schema.model_senders
        query = sa.select(table.c.model, table.c.version).distinct()
        versions: dict[str, set[str]] = {}
        for model, version in (await connection.execute(query)).all():
            versions.setdefault(model, set()).add(version)
        found: dict[tuple[str, str], Conflict] = {}
        for model, version in wanted:
            if version in versions.get(model, ()):
                continue
            if model not in versions and len(versions) >= MOST_MODELS:
                found[model, version] = Conflict(f"There are {MOST_MODELS} models already; no further one is taken.")
            elif len(versions.get(model, ())) >= MOST_VERSIONS:
                found[model, version] = Conflict(
                    f"There are {MOST_VERSIONS} versions of {model} already; no further one is taken.",
                    "Does the version change with each process? Those not seen for 30 days make room.",
                )
            else:
                versions.setdefault(model, set()).add(version)
        return found

    async def known(self, process: str) -> int:
        """The number of the last push that was taken of a process; 0 where none was."""
        table = schema.model_senders
        found = await self.store.rows(sa.select(table.c.sequence).where(table.c.id == process))
        return found[0]["sequence"] if found else 0

    # Old ones --------------------------------------------------------------------------------------------------------

    async def tidy(self, at: datetime) -> None:
        """Make old buckets wider, and forget what is older than is kept."""
        table, ledger = schema.model_profiles, schema.model_senders
        async with self.store.transaction() as transaction:
            await transaction.connection.execute(sa.delete(table).where(table.c.at < at - self.keep))
            await transaction.connection.execute(
                sa.delete(ledger).where(ledger.c.seen_at < at - max(self.keep, LEDGER))
            )
        query = sa.select(table.c.model, table.c.version, table.c.at, table.c.seconds).order_by(table.c.at)
        due: dict[tuple[str, str, Bucket], list[Bucket]] = {}
        for row in await self.store.rows(query):
            old = Bucket(row["at"], row["seconds"])
            if (new := coarser(old, at)) != old:
                due.setdefault((row["model"], row["version"], new), []).append(old)
        for (model, version, new), olds in due.items():
            await self._widen(model, version, new, olds)

    async def _widen(self, model: str, version: str, new: Bucket, olds: Sequence[Bucket]) -> None:
        async with self.store.transaction() as transaction:
            connection = transaction.connection
            bodies = [await body_of(connection, model, version, of) for of in (new, *olds)]
            there = [body for body in bodies if body is not None]
            if not there:
                return
            await put_body(connection, model, version, new, await asyncio.to_thread(_joined, there))
            for old in olds:
                await delete_body(connection, model, version, old)


def _followed(before: Sender | None, push: Push) -> Sender:
    if push.sender is not None:
        return followed(before, push.sender)
    same = before or unnamed(push.process, push.model, now())
    missed = 0 if push.sequence is None else push.sequence - same.sequence - 1
    sequence = same.sequence if push.sequence is None else push.sequence
    return replace(same, sequence=sequence, seen_at=now(), missed=same.missed + missed)


def counted(profile: Profile) -> bool:
    return bool(profile.predictions or profile.rejects.total or profile.ended > 0)


def _bucket(profile: Profile, sender: Sender) -> Bucket:
    """By when it was counted, with the sender's clock set right; by now where that is not said."""
    at = sender.seen_at
    if profile.ended > 0:
        with suppress(OverflowError, ValueError, OSError):
            at = datetime.fromtimestamp(profile.ended - sender.skew_seconds, UTC)
    return bucket(at, sender.seen_at)


def _into(fresh: dict[tuple[str, str, Bucket], Profile], key: tuple[str, str, Bucket], profile: Profile) -> None:
    if key not in fresh:
        fresh[key] = Profile(profile.model, profile.version)
    fresh[key].merge(profile)


def _merged(body: bytes | None, more: Profile) -> bytes:
    if body is None:
        return packed(more)
    profile = unpacked(body)
    profile.merge(more)
    return packed(profile)


def _all_merged(bodies: Sequence[bytes | None], more: Sequence[Profile]) -> list[bytes]:
    return [_merged(body, profile) for body, profile in zip(bodies, more, strict=True)]


def _joined(bodies: Sequence[bytes]) -> bytes:
    first = unpacked(bodies[0])
    for body in bodies[1:]:
        first.merge(unpacked(body))
    return packed(first)


def _settle(waiting: _Waiting, said: Taken | Exception) -> None:
    if waiting.answer.done():  # whoever pushed is gone; when it comes again, it is known
        return
    if isinstance(said, Exception):
        waiting.answer.set_exception(said)
    else:
        waiting.answer.set_result(said)


def _answer(batch: Sequence[_Waiting], problem: Exception) -> None:
    for each in batch:
        _settle(each, problem)
