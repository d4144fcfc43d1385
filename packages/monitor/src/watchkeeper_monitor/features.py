"""A feature of the input: numeric or categorical, by what its first values are, and counted as that."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.columns import Told, floats, plain
from watchkeeper_monitor.counts import Counts, bounded
from watchkeeper_monitor.numbers import Numbers
from watchkeeper_monitor.profile import FEATURES, Profile


def record_feature(profile: Profile, kinds: dict[str, str], name: str, given: Sequence[Any], told: Told) -> None:
    """Count values of one feature that came row by row; None is missing. `kinds` remembers what each feature is."""
    if not _room(profile, name, len(given)):
        return
    kind = kinds.get(name) or _kind(given)
    if kind:
        kinds.setdefault(name, kind)
    if missing := sum(value is None for value in given):
        profile.missing.add(name, missing)
    if kind == "category":
        named = [plain(f"feature {name}"[:60], value, str, told) for value in given if value is not None]
        record_categories(profile, name, Counter(value for value in named if value is not None))
    if kind != "number":
        return
    wrong = Told()
    values = floats(name, given, wrong)
    numbers = profile.numbers.setdefault(name, Numbers())
    numbers.invalid += sum(wrong.values())
    if values is not None:
        numbers.record_all(values[~np.isnan(values)])


def _kind(given: Sequence[Any]) -> str:
    """Empty where all are missing."""
    first = next((value for value in given if value is not None), None)
    if first is None:
        return ""
    return "number" if isinstance(first, int | float | np.number) and not isinstance(first, bool) else "category"


def record_numbers(profile: Profile, name: str, values: NDArray[np.float64]) -> None:
    """Count a numeric column; NaN and infinity are invalid."""
    if _room(profile, name, values.size):
        profile.numbers.setdefault(name, Numbers()).record_all(values)


def record_categories(profile: Profile, name: str, times: Counter[str]) -> None:
    """Count a categorical column."""
    if _room(profile, name, sum(times.values())):
        counts = profile.categories.setdefault(name, Counts())
        for category, number in times.items():
            counts.add(bounded(category), number)


def _room(profile: Profile, name: str, number: int) -> bool:
    if name in profile.numbers or name in profile.categories:
        return True
    if len(profile.numbers) + len(profile.categories) < FEATURES:
        return True
    profile.rejects.add(f"features beyond the first {FEATURES}", number)
    return False
