"""What model servers send, and what it says."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from watchkeeper.domain import NotFound, now
from watchkeeper.predictions import figures, kept
from watchkeeper.predictions.body import PushBody
from watchkeeper.predictions.buckets import Bucket
from watchkeeper.predictions.figures import Row
from watchkeeper.predictions.intake import Intake, Push, Taken
from watchkeeper.predictions.kept import Sender
from watchkeeper.store import Store, schema
from watchkeeper_monitor import Profile, Summary

ALL = "(all)"
"""The version of a summary over all versions."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model, as its processes told."""

    name: str
    first_at: datetime
    seen_at: datetime
    predictions: int
    """Of the processes that are remembered."""
    senders: list[Sender]
    """Its processes, last seen first."""


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    versions: list[Version]
    """Last seen first."""

    @property
    def seen_at(self) -> datetime:
        return self.versions[0].seen_at

    @property
    def senders(self) -> list[Sender]:
        return [sender for version in self.versions for sender in version.senders]


@dataclass(frozen=True, slots=True)
class Summed:
    """A summary, and what it is over."""

    summary: Summary
    profile: Profile
    since: datetime
    """When the first piece of time begins that is counted: it may lie before what was asked for."""
    until: datetime
    senders: list[Sender]


class Predictions:
    """Profiles of models: taken, kept, summed up."""

    def __init__(self, store: Store, keep: timedelta) -> None:
        self._store = store
        self.intake = Intake(store, keep)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Predictions"]:
        self.intake.start()
        try:
            yield self
        finally:
            await self.intake.stop()

    async def take(self, model: str, process: str, sequence: int, skew: float, body: PushBody) -> Taken:
        """Count a push once, however often it comes. Raises Refused, Busy, Conflict, StoreAway."""
        profile = await asyncio.to_thread(body.merged)
        return await self.intake.take(Push(_sender(model, process, sequence, skew, body), profile))

    async def models(self) -> list[Model]:
        """Last seen first."""
        return _models(await self._senders(None))

    async def model(self, name: str) -> Model:
        """Raises NotFound."""
        found = _models(await self._senders(name))
        if not found:
            raise NotFound(f"Nothing was heard of a model {name}.", "`watchkeeper models` lists those that were.")
        return found[0]

    async def summary(self, name: str, version: str | None, since: datetime) -> Summed:
        """Of one version or all. Raises NotFound."""
        model, at = await self.model(name), now()
        if version is not None and version not in {known.name for known in model.versions}:
            known = ", ".join(version.name for version in model.versions[:5])
            raise NotFound(f"Nothing was heard of version {version} of {name} (known: {known}).")
        senders = [sender for sender in model.senders if version in (None, sender.version)]
        rows = await self.rows(name, version, since)
        said = version or (model.versions[0].name if len(model.versions) == 1 else ALL)
        summary, profile = await asyncio.to_thread(figures.summarized, name, said, rows, senders, since, at)
        return Summed(summary, profile, min((row.bucket.at for row in rows), default=since), at, senders)

    async def rows(self, name: str, version: str | None, since: datetime, until: datetime | None = None) -> list[Row]:
        """The pieces of time that reach past `since`, newest first."""
        found = [
            (row["version"], Bucket(row["at"], row["seconds"]), row["body"])
            for row in await self._store.rows(kept.rows_of(name, version, since))
        ]
        wanted = [each for each in found if each[1].ends > since and (until is None or each[1].at < until)]
        return await asyncio.to_thread(figures.read, wanted)

    async def _senders(self, name: str | None) -> list[Sender]:
        table = schema.model_senders
        query = sa.select(table).order_by(table.c.seen_at.desc())
        if name is not None:
            query = query.where(table.c.model == name)
        return [Sender.of(row) for row in await self._store.rows(query)]


def _models(senders: list[Sender]) -> list[Model]:
    grouped: dict[str, dict[str, list[Sender]]] = {}
    for sender in senders:
        grouped.setdefault(sender.model, {}).setdefault(sender.version, []).append(sender)
    return [
        Model(name, [_version(version, found) for version, found in versions.items()])
        for name, versions in grouped.items()
    ]


def _version(name: str, senders: list[Sender]) -> Version:
    return Version(
        name,
        min(sender.began_at for sender in senders),
        max(sender.seen_at for sender in senders),
        sum(sender.predictions for sender in senders),
        senders,
    )


def _sender(model: str, process: str, sequence: int, skew: float, body: PushBody) -> Sender:
    predictions = body.profile.predictions
    return Sender(
        id=process,
        model=model,
        version=body.profile.version,
        sequence=sequence,
        began_at=datetime.fromtimestamp(body.began, UTC),
        seen_at=now(),
        host=body.host,
        pid=body.pid,
        every=body.every,
        predictions=predictions,
        predictions_per_second=predictions / max(1e-3, body.seconds),
        cpu_ratio=body.cpu_ratio,
        memory_bytes=body.memory_bytes,
        dropped=body.dropped,
        waiting=body.waiting,
        lost_pushes=body.lost.pushes,
        lost_rows=body.lost.rows,
        refused=body.refused,
        missed=0,
        skew_seconds=skew,
    )
