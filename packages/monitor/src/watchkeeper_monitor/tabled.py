"""A profile as columns of values: what can be compared with a reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.numbers import Numbers, Shares
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.words import KNOWN, UNKNOWN

MOST_ROWS = 200_000
"""Rows that a profile is taken for at most: of more, all counts are scaled down, and p values judge more cautiously."""


def table_of(profile: Profile) -> dict[str, NDArray[Any]]:
    """Rounded to the profile's buckets; what was missing or no number is NaN or None.

    Besides the features `prediction` (of rankings their first item), `confidence`, `latency_seconds`, `input_length`
    and `oov_rate` (words as known and unknown ones), where no feature is called so.
    """
    missing = profile.missing.kept
    made: dict[str, NDArray[Any]] = {}
    for name, numbers in (("latency_seconds", profile.latency), ("input_length", profile.input_length)):
        if numbers.count:
            made[name] = _values(numbers)
    if profile.confidence.count:
        made["confidence"] = _shares(profile.confidence)
    if profile.classes.total:
        made["prediction"] = _names(profile.classes, 0)
    elif profile.rankings.first.total:
        made["prediction"] = _names(profile.rankings.first, 0)
    elif profile.outputs.count:
        made["prediction"] = _values(profile.outputs)
    if profile.tokens:
        known = profile.tokens - profile.unknown_tokens
        made["oov_rate"] = _repeated([UNKNOWN, KNOWN], [profile.unknown_tokens, known])
    made |= {
        name: np.concatenate((_values(each), np.full(_absent(each, missing.get(name, 0)), np.nan)))
        for name, each in profile.numbers.items()
    }
    return made | {name: _names(each, missing.get(name, 0)) for name, each in profile.categories.items()}


def as_counted(profile: Profile, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a reference's column, rounded as the profile rounds that column."""
    if name == "confidence" and name not in profile.numbers:
        shares = Shares()
        shares.record_all(np.clip(values, 0, 1))
        return _shares(shares)
    numbers = Numbers()
    numbers.record_all(values)
    return _values(numbers)


def _values(numbers: Numbers) -> NDArray[np.float64]:
    middles = numbers.buckets()
    times = np.array([times for _, times in middles], np.float64)
    return np.repeat(np.array([value for value, _ in middles], np.float64), _scaled(times, times.sum()))


def _shares(shares: Shares) -> NDArray[np.float64]:
    times = np.array(shares.bins, np.float64)
    middles = np.maximum(0.0, (np.arange(times.size) - 0.5) / shares.BINS)
    return np.repeat(middles, _scaled(times, times.sum()))


def _scaled(times: NDArray[np.float64], total: float) -> NDArray[np.int64]:
    """As they are, or in proportion where the whole is too large."""
    return np.ceil(times * min(1.0, MOST_ROWS / max(1.0, total)) - 1e-9).astype(np.int64)


def _absent(numbers: Numbers, missing: int) -> int:
    """How many were missing or no number, in the proportion that the others are in."""
    absent = numbers.invalid + missing
    return int(min(absent * min(1.0, MOST_ROWS / max(1, numbers.count)), MOST_ROWS))


def _names(counts: Counts, missing: int) -> NDArray[Any]:
    return _repeated([*counts.kept, "(other)", None], [*counts.kept.values(), counts.other, missing])


def _repeated(names: Sequence[str | None], times: Sequence[int]) -> NDArray[Any]:
    return np.repeat(np.array(names, object), _scaled(np.array(times, np.float64), sum(times)))
