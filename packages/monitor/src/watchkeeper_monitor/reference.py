"""What drift is measured against, and the verdict: which columns, and how far."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.batch import AT_ONCE, array, columns
from watchkeeper_monitor.byclass import ByClass
from watchkeeper_monitor.counts import bounded
from watchkeeper_monitor.drift import (
    Sorted,
    adjusted,
    chi_squared,
    chi_squared_p_value,
    kolmogorov_smirnov,
    ks_p_value,
    places_of,
    wasserstein,
)
from watchkeeper_monitor.estimate import Calibration
from watchkeeper_monitor.onset import Streams
from watchkeeper_monitor.plain import plain
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.ranking import firsts, is_ranking
from watchkeeper_monitor.tabled import as_counted, table_of
from watchkeeper_monitor.windows import LONGEST, Found, Windows, distances_of_shares
from watchkeeper_monitor.words import of_texts, vocabulary_of

SIGNIFICANT = 0.01
"""False discovery rate over all columns of one comparison. Not 0.05: windows are compared again and again, and one in
twenty would be named for nothing."""
SHIFTED, FAR = 0.1, 0.25
"""PSI from which a column has shifted, and shifted far (Siddiqi, "Credit Risk Scorecards", 2006)."""
FORMAT = 1
POINTS = 10_000
"""Evenly spaced quantiles that are kept of a longer numeric column."""
NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far one column has moved. `shift` is `none`, `moderate` or `large`."""

    name: str
    kind: str
    """`number` or `category`."""
    shift: str
    psi: float
    kl: float
    jensen_shannon: float
    p_value: float
    """Corrected for the number of columns."""
    kolmogorov_smirnov: float
    """Of numbers; NaN for categories, as is the next."""
    wasserstein: float
    """In the column's own unit."""
    chi_squared: float
    """Of categories; NaN for numbers."""
    unseen: float
    """Share of current values that are no category of the reference, or lie outside its range."""
    missing: float
    """Share of current values that are missing or no number."""
    rows: int
    since: str | None = None
    """Since when it has lain apart, as far as is known: RFC 3339, UTC. It began between this and `until`."""
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison gave, the farthest first."""

    columns: list[ColumnDrift]
    absent: list[str]
    """Columns of the reference that the current data does not have: not compared."""
    unknown: list[str]
    """Columns of the current data that the reference does not have: not compared."""

    @property
    def shifted(self) -> list[str]:
        return [each.name for each in self.columns if each.shift != "none"]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what is not known is None."""
        return plain(asdict(self))

    def __str__(self) -> str:
        lines = [f"{len(self.shifted)} of {len(self.columns)} columns have shifted"]
        lines += [
            f"  {each.name:<24} {each.shift:<9} PSI {each.psi:.3f}  Jensen–Shannon {each.jensen_shannon:.3f}  "
            f"p {each.p_value:.2g}  unseen {each.unseen:.1%}  missing {each.missing:.1%}"
            + (f"  since {each.since}" if each.since else "")
            + (f" to {each.until}" if each.until and each.until != each.since else "")
            for each in self.columns
        ]
        lines += [f"  {name:<24} not compared: the current data lacks it" for name in self.absent]
        lines += [f"  {name:<24} not compared: the reference lacks it" for name in self.unknown]
        return "\n".join(lines)


class Reference:
    """Columns made ready for comparing, from training data or a good period of production.

    >>> reference = Reference.from_data({"age": np.arange(1000.0)})
    >>> reference.compare({"age": np.arange(1000.0) + 500}).shifted
    ['age']
    """

    def __init__(
        self,
        numbers: Mapping[str, Sorted],
        categories: Mapping[str, Mapping[str, int]],
        calibration: Calibration | None = None,
    ) -> None:
        self.numbers = dict(numbers)
        self.categories = {name: dict(counts) for name, counts in categories.items()}
        self.calibration = calibration
        """What accuracy is estimated by; None where it has no labels."""
        self._windows: Windows | None = None

    @classmethod
    def from_data(cls, table: Any, vocabulary: Iterable[str] | None = None) -> "Reference":
        """From a mapping of columns, or a table of Arrow, Polars or pandas.

        With a column `label` besides `prediction` and `confidence`, accuracy can be estimated by it; it is compared
        with nothing. With a `vocabulary`, as the monitor has it, a column `text` is counted as known and unknown words
        (`oov_rate`) and is not kept. Of rankings in `prediction` the first items are compared.
        """
        numbers: dict[str, Sorted] = {}
        categories: dict[str, dict[str, int]] = {}
        said = {name: array(column) for name, column in columns(table).items()}
        if vocabulary is not None and (texts := said.pop("text", None)) is not None:
            categories["oov_rate"] = of_texts(cast("Iterable[Any]", texts.tolist()), vocabulary_of(vocabulary))
        calibration = _calibration(said)
        for name, found in said.items():
            if name == "label" and calibration is not None:
                continue
            if found.size == 0:
                raise ValueError(f"the reference's column {name} is empty")
            if (values := _numbers(found)) is not None:
                numbers[name] = Sorted.of(values)
            else:
                categories[name] = dict(_categories(found)[0])
        return cls(numbers, categories, calibration)

    @classmethod
    def from_profile(cls, profile: Profile) -> "Reference":
        """From what a monitor has counted in a good period; numbers are known within 1 %."""
        numbers: dict[str, Sorted] = {}
        categories: dict[str, dict[str, int]] = {}
        for name, column in table_of(profile).items():
            if column.dtype.kind == "f":
                numbers[name] = Sorted.of(column)
            else:
                categories[name] = dict(_categories(column)[0])
        return cls(numbers, categories, Calibration.from_truth(profile.truth))

    def to_dict(self, points: int = POINTS) -> dict[str, Any]:
        """As JSON has it. Of a longer numeric column, `points` evenly spaced quantiles are kept."""
        kept = {
            name: each.values[np.linspace(0, each.values.size - 1, min(points, each.values.size)).round().astype(int)]
            for name, each in self.numbers.items()
        }
        known = None if self.calibration is None else self.calibration.known_classes
        return {
            "format": FORMAT,
            "numbers": {name: values.tolist() for name, values in kept.items()},
            "categories": self.categories,
            "calibration": None if self.calibration is None else [list(each) for each in self.calibration.points],
            "by_class": None if known is None else known.to_dict(),
        }

    def save(self, path: str | Path, points: int = POINTS) -> None:
        """To a JSON file: `to_dict`."""
        Path(path).write_text(json.dumps(self.to_dict(points)))

    @classmethod
    def load(cls, path: str | Path) -> "Reference":
        """Raises ValueError when a newer monitor wrote it."""
        return cls.from_dict(json.loads(Path(path).read_text()), str(path))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: str = "this reference") -> "Reference":
        """What `to_dict` gave. Raises ValueError when a newer monitor wrote it."""
        if content["format"] > FORMAT:
            raise ValueError(f"{where} was written by a newer watchkeeper-monitor: upgrade this one")
        numbers = {name: Sorted.of(np.array(values, np.float64)) for name, values in content["numbers"].items()}
        points, by_class = content.get("calibration"), content.get("by_class")
        known = ByClass.from_dict(by_class) if by_class else None
        return cls(numbers, content["categories"], Calibration(points, known) if points else None)

    def compare_profile(self, profile: Profile) -> Drift:
        """How far the features and predictions of a profile lie from the reference.

        A profile holds numbers within 1 %: both sides are rounded to its buckets first, or whole numbers on the edge
        of a bin would seem to have moved. The reference's columns `prediction`, `confidence`, `latency_seconds` and
        `input_length` are met with what was predicted, and how.
        """
        rounded = {name: Sorted.of(as_counted(profile, name, each.values)) for name, each in self.numbers.items()}
        return Reference(rounded, self.categories)._compare(table_of(profile), None)

    def compare(self, table: Any) -> Drift:
        """How far the current data lies from the reference, column by column.

        A column has shifted where its PSI says so (an effect, which does not grow with the number of rows) and where
        that is no chance (a test, corrected for the number of columns).
        """
        current = {name: array(column) for name, column in columns(table).items()}
        if self._windows is None and any(each.size <= LONGEST for each in current.values()):
            self._windows = Windows(self.numbers)
        return self._compare(current, self._windows)

    def _compare(self, current: Mapping[str, NDArray[Any]], windows: Windows | None) -> Drift:
        short = {} if windows is None else windows.compare(current)
        found: dict[str, _Measured] = {}
        for name, numbers in self.numbers.items():
            if name in short:
                found[name] = _of_window(numbers, short[name], current[name].size)
            elif name in current:
                found[name] = _of_numbers(numbers, current[name])
        for name, counts in self.categories.items():
            if name in current:
                found[name] = _of_categories(counts, current[name])
        apart = distances_of_shares([(each.before, each.after) for each in found.values()])
        ps = adjusted([each.p_value for each in found.values()])
        judged = [
            _judged(name, "number" if name in self.numbers else "category", each, distances, p)
            for (name, each), distances, p in zip(found.items(), apart, ps, strict=True)
        ]
        judged.sort(key=lambda each: (-each.psi, each.name))
        return Drift(
            judged,
            [name for name in (*self.numbers, *self.categories) if name not in current],
            [name for name in current if name not in self.numbers and name not in self.categories],
        )


def dated(drift: Drift, reference: Reference, streams: Streams) -> Drift:
    """With the time since when each column that has shifted lies apart."""

    def since(each: ColumnDrift) -> ColumnDrift:
        if each.shift == "none":
            return each
        numbers = reference.numbers.get(each.name)
        usual = reference.categories[each.name] if numbers is None else numbers.values
        since, until = streams.apart(each.name, usual) or (None, None)
        return replace(each, since=since, until=until)

    return replace(drift, columns=[since(each) for each in drift.columns])


def _calibration(said: Mapping[str, NDArray[Any]]) -> Calibration | None:
    if any(name not in said for name in ("label", "prediction", "confidence")):
        return None
    sure = _numbers(said["confidence"])
    if sure is None or not sure.size == said["label"].size == said["prediction"].size:
        return None
    labels, predictions = (cast("list[Any]", said[name].tolist()) for name in ("label", "prediction"))
    known = np.array([label is not None for label in labels], bool)
    right = np.array([str(a) == str(b) for a, b in zip(labels, predictions, strict=True)], bool)
    classes = [str(each) for each, there in zip(predictions, known, strict=True) if there]
    return Calibration.from_data(sure[known], right[known], classes)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A column before its verdict: that needs all the others."""

    p_value: float
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    """Shares of the reference and of the current data; empty where one of them is."""
    kolmogorov_smirnov: float
    wasserstein: float
    chi_squared: float
    unseen: float
    missing: float
    rows: int


def _judged(name: str, kind: str, found: _Measured, apart: tuple[float, float, float], p: float) -> ColumnDrift:
    shift, psi = "none", apart[0]
    if p < SIGNIFICANT and psi >= SHIFTED:
        shift = "large" if psi >= FAR else "moderate"
    return ColumnDrift(
        name,
        kind,
        shift,
        *apart,
        p,
        found.kolmogorov_smirnov,
        found.wasserstein,
        found.chi_squared,
        found.unseen,
        found.missing,
        found.rows,
    )


def _of_numbers(reference: Sorted, column: NDArray[Any]) -> _Measured:
    values = _numbers(column)
    if values is None:
        values = np.full(column.size, np.nan)
    current = Sorted.of(values)
    n, m = reference.values.size, current.values.size
    missing = 1 - m / column.size if column.size else math.nan
    if not n or not m:
        return _Measured(1, NOTHING, NOTHING, math.nan, math.nan, math.nan, math.nan, missing, column.size)
    places = places_of(reference.values, current.values)
    distance = kolmogorov_smirnov(reference.values, current.values, places)
    outside = int(np.searchsorted(current.values, reference.values[:1], side="left")[0])
    outside += m - int(np.searchsorted(current.values, reference.values[-1:], side="right")[0])
    return _Measured(
        ks_p_value(distance, n, m),
        reference.own,
        current.shares(reference.edges),
        distance,
        wasserstein(reference, current, places),
        math.nan,
        outside / m,
        missing,
        column.size,
    )


def _of_window(reference: Sorted, found: Found, rows: int) -> _Measured:
    return _Measured(
        ks_p_value(found.kolmogorov_smirnov, reference.values.size, rows),
        reference.own,
        found.shares,
        found.kolmogorov_smirnov,
        found.wasserstein,
        math.nan,
        found.outside,
        0.0,
        rows,
    )


def _of_categories(reference: Mapping[str, int], column: NDArray[Any]) -> _Measured:
    counts, missing = _categories(column)
    unseen = counts.keys() - reference.keys()
    names = [*reference, *sorted(unseen)]
    before = np.array([reference.get(each, 0) for each in names], np.int64)
    after = np.array([counts.get(each, 0) for each in names], np.int64)
    n, m = int(before.sum()), int(after.sum())
    statistic, freedom = chi_squared(before, after)
    empty = not n or not m
    return _Measured(
        1.0 if empty else chi_squared_p_value(statistic, freedom),
        NOTHING if empty else before / n,
        NOTHING if empty else after / m,
        math.nan,
        math.nan,
        statistic,
        sum(counts[each] for each in unseen) / max(1, m),
        missing / column.size if column.size else math.nan,
        column.size,
    )


def _numbers(column: NDArray[Any]) -> NDArray[np.float64] | None:
    """As floats, with NaN for None; None where it does not hold numbers."""
    if column.dtype.kind in "fiu":
        return column.astype(np.float64, copy=False)
    if column.dtype.kind != "O":
        return None
    given = cast("list[Any]", column.tolist())
    first = next((value for value in given if value is not None), None)
    if not isinstance(first, int | float) or isinstance(first, bool):
        return None
    return np.array([value if isinstance(value, int | float) else np.nan for value in given], np.float64)


def _categories(column: NDArray[Any]) -> tuple[Counter[str], int]:
    """How often each came, and how many were missing."""
    counted: Counter[Any] = Counter()
    if (
        column.dtype.kind == "U" and column.dtype.itemsize in (4, 8) and column.dtype.isnative
    ):  # short names are numbers
        words, times = np.unique(np.ascontiguousarray(column).view(f"u{column.dtype.itemsize}"), return_counts=True)
        names = cast("list[str]", words.view(column.dtype).tolist())
        return Counter(dict(zip(names, cast("list[int]", times.tolist()), strict=True))), 0
    for start in range(0, column.size, AT_ONCE):  # as Python's values a whole column would take too much memory
        values = cast("list[Any]", column[start : start + AT_ONCE].tolist())
        counted.update(firsts(values) if column.dtype.kind == "O" and any(map(is_ranking, values)) else values)
    missing = counted.pop(None, 0)
    made: Counter[str] = Counter()
    for value, times in counted.items():
        made[bounded(str(value))] += times
    return made, missing
