"""Whether evictions cost hits: the share of look-ups that find something, now and while nothing was evicted."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

WINDOW_SECONDS = 30.0
ENOUGH = 300.0
"""Look-ups within a window, ten a second, below which a share says nothing: an idle cache misses by chance."""
_WEIGHT = 0.3
_TOTALS = ("keyspace_hits_total", "keyspace_misses_total", "evicted_keys_total")


@dataclass(slots=True)
class Hits:
    """Of one server, over all looks."""

    at: float = 0.0
    totals: dict[str, float] = field(default_factory=dict[str, float])
    shown: dict[str, float] = field(default_factory=dict[str, float])
    before: float | None = None


def follow(hits: Hits, metrics: dict[str, float]) -> None:
    """Take in a look, and fill in what the last whole window gave."""
    present = time.monotonic()
    totals = {name: metrics.get(name, 0.0) for name in _TOTALS}
    began_anew = any(totals[name] < hits.totals.get(name, 0.0) for name in _TOTALS)
    if not hits.totals or began_anew:
        hits.at, hits.totals, hits.shown = present, totals, {}
    elif present - hits.at >= WINDOW_SECONDS:
        _close(hits, totals, present - hits.at)
        hits.at, hits.totals = present, totals
    metrics |= hits.shown


def _close(hits: Hits, totals: Mapping[str, float], seconds: float) -> None:
    found, missed, evicted = (totals[name] - hits.totals[name] for name in _TOTALS)
    hits.shown = {"evicted_lately_per_second": evicted / seconds}
    if found + missed < ENOUGH:
        return
    share = found / (found + missed)
    if not evicted:
        hits.before = share if hits.before is None else (1 - _WEIGHT) * hits.before + _WEIGHT * share
    hits.shown["hit_ratio_lately"] = share
    if hits.before is not None:
        hits.shown["hit_ratio_before"] = hits.before
