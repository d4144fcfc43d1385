"""What has changed in production, and since when: of profiles in pieces of time. All of this blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.predictions.figures import Row, merged
from watchkeeper_monitor import Drift, Profile, Reference, Summary
from watchkeeper_monitor.estimate import NOTHING, Estimate, estimated
from watchkeeper_monitor.onset import Change, Streams
from watchkeeper_monitor.reference import ColumnDrift, dated

LATELY = timedelta(days=1)
"""What is compared with a reference."""
BEFORE = timedelta(days=7)
"""How far back is looked for when it began."""


@dataclass(frozen=True, slots=True)
class Shifts:
    """What a summary tells of it."""

    drift: Sequence[ColumnDrift] = field(default_factory=list[ColumnDrift])
    changes: Sequence[Change] = field(default_factory=list[Change])
    estimate: Estimate = NOTHING


def streams_of(rows: Sequence[Row]) -> Streams:
    """`rows`: of one version, or of all; pieces of the same time are counted together."""
    streams = Streams()
    for at in sorted({row.bucket.at for row in rows}):
        same = [row for row in rows if row.bucket.at == at]
        piece = merged("", "", same)
        piece.began, ends = at.timestamp(), max(row.bucket.ends for row in same).timestamp()
        piece.ended = min(max(piece.began, piece.ended), ends)
        streams.take(piece)
    return streams


def drift_of(content: dict[str, Any], profile: Profile, rows: Sequence[Row]) -> Drift:
    """`content`: of a reference. `profile` is compared with it; `rows` tell since when."""
    reference = Reference.from_dict(content)
    return dated(reference.compare_profile(profile), reference, streams_of(rows))


def shifts_of(content: dict[str, Any] | None, rows: Sequence[Row], at: datetime) -> Shifts:
    """`content`: None where there is no reference."""
    streams = streams_of(rows)
    changes = streams.changes()
    changed = [each.stream for each in changes]
    lately = merged("", "", [row for row in rows if row.bucket.ends > at - LATELY])
    truth = merged("", "", rows).truth
    if content is None:
        return Shifts([], changes, estimated(lately, None, truth, [], changed))
    reference = Reference.from_dict(content)
    drift = dated(reference.compare_profile(lately), reference, streams)
    estimate = estimated(lately, reference.calibration, truth, drift.shifted, changed)
    return Shifts(drift.columns, changes, estimate)


def page_of(content: dict[str, Any] | None, lately: Sequence[Row], summary: Summary) -> str:
    """The monitor's own page. `content`: of the reference that the drift is from; None where there is none."""
    from watchkeeper_monitor.report import page, pairs

    if content is None:
        return page(summary, [])
    return page(summary, pairs(Reference.from_dict(content), merged("", "", lately), summary.quality.drift))
