"""A summary out of rows of profiles: the same figures that a monitor gives of itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from watchkeeper.predictions.buckets import Bucket
from watchkeeper.predictions.kept import Sender, unpacked
from watchkeeper_monitor import Profile
from watchkeeper_monitor.figures import ClassFigures, Share, counted_figures, share
from watchkeeper_monitor.ranking import Rankings
from watchkeeper_monitor.summary import Around

LATEST = 1000
"""Labelled predictions that the latest accuracy is of, at least: as many buckets as that takes."""
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Row:
    """One version's profile of one piece of time."""

    version: str
    bucket: Bucket
    profile: Profile

    @property
    def began(self) -> datetime:
        """When the first of it was counted: seldom as early as the piece of time begins."""
        first = self.profile.began
        if not math.isfinite(first):
            return self.bucket.at
        return datetime.fromtimestamp(min(max(first, self.bucket.at.timestamp()), self.bucket.ends.timestamp()), UTC)


def read(rows: Sequence[tuple[str, Bucket, bytes]]) -> list[Row]:
    return [Row(version, bucket, unpacked(body)) for version, bucket, body in rows]


def merged(model: str, version: str, rows: Sequence[Row]) -> Profile:
    """All of them as one, under this name of a version."""
    made = Profile(model, version)
    for row in rows:
        row.profile.model, row.profile.version = model, version
        made.merge(row.profile)
    return made


@dataclass(frozen=True, slots=True)
class Counted:
    """What a summary is made of."""

    profile: Profile
    around: Around
    labels_from: str = "profiles"


def counted(
    model: str, version: str, rows: Sequence[Row], senders: Sequence[Sender], since: datetime, at: datetime
) -> Counted:
    """`rows`: newest first. `senders`: the processes of this version."""
    total = merged(model, version, rows)
    latest, classes = _latest(rows)
    week = [row.profile.truth for row in rows if row.bucket.ends > at - WEEK]
    alive = [sender for sender in senders if sender.alive(at)]
    began = min((row.began for row in rows), default=at)
    return Counted(
        total,
        Around(
            seconds=max(0.0, (at - max(began, since)).total_seconds()),
            accuracy=latest,
            accuracy_7d=share(sum(t.correct for t in week), sum(t.labelled - t.residuals.count for t in week)),
            classes=classes,
            predictions_per_second=sum(sender.predictions_per_second for sender in alive),
            cpu_ratio=sum(sender.cpu_ratio for sender in alive) if alive else math.nan,
            memory_bytes=sum(sender.memory_bytes for sender in alive),
            dropped=sum(sender.dropped for sender in senders),
            labels_waiting=sum(sender.waiting for sender in alive),
            rankings=_latest_rankings(rows),
        ),
    )


def _latest_rankings(rows: Sequence[Row]) -> dict[str, Share]:
    made = Rankings()
    for row in rows:
        if made.judged >= LATEST:
            break
        made.merge(row.profile.rankings)
    return made.means()


def _latest(rows: Sequence[Row]) -> tuple[Share, list[ClassFigures]]:
    """Accuracy and figures by class of the newest pieces of time that hold `LATEST` labels together."""
    truth = Profile("", "").truth
    for row in rows:
        if truth.labelled - truth.residuals.count >= LATEST:
            break
        truth.merge(row.profile.truth)
    figures = counted_figures(truth.true.kept, truth.predicted.kept, truth.hits.kept)
    return share(truth.correct, truth.labelled - truth.residuals.count), figures
