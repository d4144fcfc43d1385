"""What lasts: how right a model is, and whether its inputs are what it was trained on. Costly to work out."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from watchkeeper.domain import now
from watchkeeper_monitor.figures import Share
from watchkeeper_monitor.onset import Change
from watchkeeper_monitor.ranking import NDCG
from watchkeeper_monitor.reference import ColumnDrift

if TYPE_CHECKING:
    from watchkeeper.predictions.predictions import Predictions

OF = timedelta(days=7)
"""What it is worked out of; drift is of the last day."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """All versions together."""

    accuracy: Share
    """Of the latest labelled predictions; NaN without labels."""
    ndcg: Share
    """Of rankings, at 10."""
    fell: Change | None
    """What accuracy, or NDCG@10, did last, where it fell: since when, from what to what."""
    drifted: tuple[ColumnDrift, ...]
    """Columns that are not as in the reference, farthest first."""


async def lasting(predictions: "Predictions", name: str) -> Lasting:
    """Raises NotFound, NotInstalled."""
    summary = (await predictions.summary(name, None, now() - OF)).summary
    changes = [each for each in summary.quality.changes if each.stream in ("accuracy", NDCG)]
    latest = max(changes, key=lambda each: each.since, default=None)
    return Lasting(
        accuracy=summary.performance.accuracy,
        ndcg=summary.performance.rankings.get(NDCG, Share(float("nan"), float("nan"), float("nan"), 0)),
        fell=latest if latest is not None and latest.after < latest.before else None,
        drifted=tuple(each for each in summary.quality.drift if each.shift != "none"),
    )
