"""What model servers send, and what it says."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from watchkeeper.domain import NotFound, now
from watchkeeper.predictions import arrow, figures, kept, references, shifts
from watchkeeper.predictions.body import PushBody
from watchkeeper.predictions.buckets import Bucket
from watchkeeper.predictions.figures import Counted, Row
from watchkeeper.predictions.intake import TIDY, Intake, Push, Taken
from watchkeeper.predictions.joining import Labels
from watchkeeper.predictions.kept import Sender
from watchkeeper.predictions.lately import Recent
from watchkeeper.predictions.records import Records, Told, Where
from watchkeeper.predictions.shelf import Shelf
from watchkeeper.store import Store, schema
from watchkeeper_monitor import Profile, Summary
from watchkeeper_monitor.ranking import NDCG
from watchkeeper_monitor.summary import summary_of

log = structlog.get_logger(__name__)
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
    """Last seen first; none where only records or labels came, by hand."""
    senders: list[Sender]
    """Last seen first."""

    @property
    def seen_at(self) -> datetime:
        return self.senders[0].seen_at


@dataclass(frozen=True, slots=True)
class Summed:
    """A summary, and what it is over."""

    summary: Summary
    profile: Profile
    since: datetime
    """When the first piece of time begins that is counted: it may lie before what was asked for."""
    until: datetime
    senders: list[Sender]
    labels: Labels | None
    """None where no records are kept."""
    labels_from: str
    """Where accuracy comes from: `profiles`, whose labels came to the process that predicted, or `records`."""


class Predictions:
    """Profiles of models: taken, kept, summed up."""

    def __init__(self, store: Store, keep: timedelta, shelf: Shelf) -> None:
        self._store = store
        self.intake = Intake(store, keep)
        self.records = Records(self.intake, shelf)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Predictions"]:
        self.intake.start()
        tidy = asyncio.create_task(self._tidily(), name="tidy predictions")
        try:
            yield self
        finally:
            tidy.cancel()
            await asyncio.gather(tidy, return_exceptions=True)
            await self.intake.stop()

    async def _tidily(self) -> None:
        while True:
            await asyncio.sleep(TIDY)  # by the clock
            try:
                await self.intake.tidy(now())
                if arrow.there():
                    await asyncio.to_thread(self.records.shelf.tidy, now())
            except Exception as problem:
                log.warning("old predictions could not be tidied", problem=str(problem))

    async def take(self, model: str, process: str, sequence: int, skew: float, body: PushBody) -> Taken:
        """Count a push once, however often it comes. Raises Refused, Busy, Conflict, StoreAway."""
        profile = await asyncio.to_thread(body.merged) if body.large else body.merged()
        sender = _sender(model, process, sequence, skew, body)
        return await self.intake.take(Push(process, model, sender.version, sequence, sender, profile))

    async def models(self) -> list[Model]:
        """Last seen first."""
        return _models(await self._senders(None))

    async def model(self, name: str) -> Model:
        """Raises NotFound."""
        found = _models(await self._senders(name))
        if not found:
            raise NotFound(f"Nothing was heard of a model {name}.", "`watchkeeper models` lists those that were.")
        return found[0]

    def recent(self, name: str) -> Recent:
        """What follows one model from look to look."""
        return Recent(self, name)

    async def summary(self, name: str, version: str | None, since: datetime, segment: str | None = None) -> Summed:
        """Of one version or all; of one segment by its records. Raises NotFound, NotInstalled."""
        model, at = await self.model(name), now()
        if version is not None and version not in {known.name for known in model.versions}:
            known = ", ".join(version.name for version in model.versions[:5])
            raise NotFound(f"Nothing was heard of version {version} of {name} (known: {known}).")
        senders = [sender for sender in model.senders if version in (None, sender.version)]
        rows = await self.rows(name, version, since)
        said = version or (model.versions[0].name if len(model.versions) == 1 else ALL)
        counted = await asyncio.to_thread(figures.counted, name, said, rows, senders, since, at)
        if segment is not None:
            arrow.part("")
            if not self.records.there(name):
                raise NotFound(
                    f"No records of {name} are kept, and a segment's figures are counted from them.",
                    "Its monitor sends them with Monitor(…, records=1.0).",
                )
        labels, by_records = None, None
        if self.records.there(name):
            told = await self.records.told(Where(name, since, at, version, segment), said)
            labels = told.joined.labels
            counted = _with(counted, told, whole=segment is not None)
            by_records = told.changes if counted.labels_from == "records" else None
        if segment is None:
            found = await asyncio.to_thread(self._shifts, name, version, rows, at)
            changes = found.changes
            if by_records is not None:  # more labels, and by when what they are of was predicted
                changes = [*by_records, *(each for each in changes if each.stream not in ("accuracy", NDCG))]
                changes.sort(key=lambda each: each.since, reverse=True)
            around = replace(counted.around, drift=found.drift, changes=changes, estimate=found.estimate)
            counted = replace(counted, around=around)
        first = min((row.began for row in rows), default=since)
        summary = await asyncio.to_thread(summary_of, counted.profile, counted.around)
        return Summed(summary, counted.profile, since if segment else first, at, senders, labels, counted.labels_from)

    async def report(self, name: str, version: str | None, since: datetime) -> str:
        """The summary as one HTML file; the latest day's columns drawn over the reference's. Raises NotFound."""
        summed = await self.summary(name, version, since)
        lately = await self.rows(name, version, now() - shifts.LATELY)
        usual = await asyncio.to_thread(self._usual, name, version)
        return await asyncio.to_thread(shifts.page_of, usual, lately, summed.summary)

    async def version(self, name: str, version: str | None) -> str:
        """The version itself where it is known; else the one heard of last. Raises NotFound."""
        known = [each.name for each in (await self.model(name)).versions]
        if not known or (version is not None and version not in known):
            said = f"version {version}" if version else "any version"
            raise NotFound(f"Nothing was heard of {said} of {name} (known: {', '.join(known[:5]) or 'none'}).")
        return version or known[0]

    async def profile(
        self, name: str, version: str, since: datetime, until: datetime
    ) -> tuple[Profile, datetime, datetime]:
        """What was counted of a version in the pieces of time that touch a period; when these begin and end."""
        rows = await self.rows(name, version, since, until)
        made = await asyncio.to_thread(figures.merged, name, version, rows)
        began = min((row.bucket.at for row in rows), default=since)
        return made, began, max((min(row.bucket.ends, until) for row in rows), default=until)

    async def rows(self, name: str, version: str | None, since: datetime, until: datetime | None = None) -> list[Row]:
        """The pieces of time that reach past `since`, newest first."""
        found = [
            (row["version"], Bucket(row["at"], row["seconds"]), row["body"])
            for row in await self._store.rows(kept.rows_of(name, version, since))
        ]
        wanted = [each for each in found if each[1].ends > since and (until is None or each[1].at < until)]
        return await asyncio.to_thread(figures.read, wanted)

    def _shifts(self, name: str, version: str | None, rows: list[Row], at: datetime) -> shifts.Shifts:
        return shifts.shifts_of(self._usual(name, version), rows, at)

    def _usual(self, name: str, version: str | None) -> dict[str, Any] | None:
        """The reference's content; None where there is none. Blocks."""
        try:
            return references.get(self.records.shelf, name, version).content
        except NotFound:
            return None

    async def _senders(self, name: str | None) -> list[Sender]:
        table = schema.model_senders
        query = sa.select(table).order_by(table.c.seen_at.desc())
        if name is not None:
            query = query.where(table.c.model == name)
        return [Sender.of(row) for row in await self._store.rows(query)]


def _with(counted: Counted, told: Told, *, whole: bool) -> Counted:
    """With the truth of those labels that more is known by: they are the same labels, and never added up."""
    profile, judged = counted.profile, told.judged
    whole = whole or not profile.predictions
    classes = whole or judged.truth.labelled > profile.truth.labelled
    rankings = whole or judged.rankings.judged > profile.rankings.judged
    if not classes and not rankings:
        return counted
    around = replace(counted.around, labels_waiting=told.joined.labels.waiting)
    if whole:
        profile = told.profile
    if classes:
        profile.truth = judged.truth
        profile.segments_labelled = told.profile.segments_labelled
        profile.segments_correct = told.profile.segments_correct
        around = replace(around, accuracy=judged.latest, accuracy_7d=judged.week, classes=judged.classes)
    if rankings:
        profile.rankings.take_truth(judged.rankings)
        around = replace(around, rankings=judged.latest_rankings)
    return Counted(profile, around, "records")


def _models(senders: list[Sender]) -> list[Model]:
    grouped: dict[str, dict[str, list[Sender]]] = {}
    for sender in senders:
        grouped.setdefault(sender.model, {}).setdefault(sender.version, []).append(sender)
    return [
        Model(
            name,
            [_version(version, found) for version, found in versions.items() if version],
            [sender for sender in senders if sender.model == name],
        )
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
        predictions_per_second=predictions / max(1.0, body.seconds),
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
