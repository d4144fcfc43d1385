"""Rows of any values made into arrays; what does not fit is told by reason, never raised."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Told = Counter[str]
"""Rejected values by reason."""


def floats(what: str, raw: Sequence[Any], told: Told) -> NDArray[np.float64] | None:
    """As an array with NaN for what is missing or wrong; None where nothing was given at all.

    Missing (None) is not rejected; NaN and what is no number is.
    """
    number = len(raw)
    if raw[0] is None and raw.count(None) == number:
        return None
    try:
        made = np.fromiter(raw, np.float64, number)
    except Exception:  # also what a value's own method raises: the others must not be lost with it
        return np.array([_float(what, each, told) for each in raw], np.float64)
    if not (made.min() > -np.inf and made.max() < np.inf):  # not so either where one is NaN
        finite = np.isfinite(made)
        missing = sum(each is None for each in raw)  # NumPy makes NaN of None
        if wrong := number - int(finite.sum()) - missing:
            told[f"{what}: not finite"] += wrong
        made[~finite] = np.nan
    return made


def plain(what: str, value: Any, kind: Callable[[Any], T], told: Told) -> T | None:
    """As a value of this kind; None, and told, where its own methods raise."""
    if type(value) is kind:
        return cast("T", value)
    try:
        return kind(value)
    except Exception as problem:
        told[f"{what}: {type(problem).__name__}"] += 1
        return None


def _float(what: str, value: Any, told: Told) -> float:
    if value is None:
        return np.nan
    try:
        made = float(value)
    except (TypeError, ValueError, OverflowError):
        told[f"{what}: not a number"] += 1
        return np.nan
    except Exception as problem:  # its own method
        told[f"{what}: {type(problem).__name__}"] += 1
        return np.nan
    if made - made != 0:
        told[f"{what}: not finite"] += 1
        return np.nan
    return made


def within(
    what: str, values: NDArray[np.float64] | None, told: Told, most: float = np.inf
) -> NDArray[np.float64] | None:
    """The same array, with NaN for what lies below 0 or above `most`."""
    if values is None:
        return None
    if not (values.min() >= 0 and values.max() <= most):  # not so either where one is NaN
        outside = (values < 0) | (values > most)
        if not outside.any():
            return values
        told[f"{what}: below 0" if most == np.inf else f"{what}: outside 0..{most:g}"] += int(outside.sum())
        values[outside] = np.nan
    return values


def known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those that are not NaN."""
    return values if values.size and values.min() == values.min() else values[~np.isnan(values)]
