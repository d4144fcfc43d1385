"""Columns of NumPy, Arrow, Polars or pandas, counted at once. None of these is imported here but NumPy."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.columns import Told, floats, plain, within
from watchkeeper_monitor.counts import bounded
from watchkeeper_monitor.features import record_categories, record_feature, record_numbers

if TYPE_CHECKING:
    from watchkeeper_monitor.folding import Folding, Row
    from watchkeeper_monitor.monitor import Monitor

AT_ONCE = 1 << 17
"""Rows counted before others get their turn, and what bounds the memory that is used meanwhile."""


def array(column: Any, *, missing: bool = False) -> NDArray[Any]:
    """One column as an array: of numbers where it holds numbers, else of objects or strings.

    What is missing is None; among numbers NaN, unless they are wanted with None, too (`missing`), to be told apart from
    what is no number.
    """
    if isinstance(column, np.ma.MaskedArray):
        masked = cast("Any", column)
        return _array(masked.filled(0), np.asarray(masked.mask), missing=missing)
    if isinstance(column, np.ndarray):
        return cast("NDArray[Any]", column)
    if hasattr(column, "to_pylist"):  # Arrow
        if str(column.type).startswith("dictionary"):
            column = column.cast(column.type.value_type)
        gone = np.asarray(column.is_null()) if column.null_count else None
        return _array(np.asarray(column.to_numpy(zero_copy_only=False)), gone, missing=missing)
    if hasattr(column, "is_null"):  # Polars
        gone = column.is_null().to_numpy() if column.null_count() else None
        return _array(np.asarray(column.to_numpy()), gone, missing=missing)
    if hasattr(column, "isna"):  # pandas
        gone = np.asarray(column.isna())
        return _array(np.asarray(column), gone if gone.any() else None, missing=missing)
    if hasattr(column, "__array__"):
        return np.asarray(column)
    made = np.empty(len(column), object)
    made[:] = list(column)
    return made


def _array(values: NDArray[Any], gone: NDArray[np.bool_] | None, *, missing: bool) -> NDArray[Any]:
    """With None, or NaN, for what is `gone`."""
    if gone is None:
        return values
    if values.dtype.kind in "fiu" and not missing:
        made = values.astype(np.float64)
        made[gone] = np.nan
        return made
    made = values.astype(object)
    made[gone] = None
    return made


def columns(table: Any) -> dict[str, Any]:
    """The columns of a table by name."""
    if isinstance(table, Mapping):
        return {str(name): column for name, column in cast("Mapping[Any, Any]", table).items()}
    names: Iterable[Any] = table.column_names if hasattr(table, "column_names") else table.columns
    return {str(name): table[name] for name in names}


def numbers(what: str, column: Any, told: Told, most: float = np.inf) -> NDArray[np.float64] | None:
    """As an array of numbers within 0..`most`; what is not is told and NaN."""
    if column is None:
        return None
    found = array(column)
    if found.size == 0:
        return None
    if found.dtype.kind in "fiub":
        made = found.astype(np.float64)  # a copy: it is changed below
        bad = ~np.isfinite(made)
        if bad.any():
            told[f"{what}: not finite"] += int(bad.sum())
            made[bad] = np.nan
        return within(what, made, told, most)
    return within(what, floats(what, cast("Sequence[Any]", found.tolist()), told), told, most)


def record_batch(
    monitor: "Monitor",
    predictions: Any,
    confidences: Any,
    latencies: Any,
    lengths: Any,
    truths: Any,
    segments: Any,
    features: Any,
) -> range:
    said = array(predictions, missing=True)
    named: dict[str, NDArray[Any]] = {}
    given = {"confidences": confidences, "latencies_seconds": latencies, "input_lengths": lengths}
    given |= {"true_labels": truths, "segments": segments}
    named = {name: array(column, missing=True) for name, column in given.items() if column is not None}
    table = {} if features is None else columns(features)
    features = {bounded(name): array(each, missing=True) for name, each in table.items()}
    for name, column in (named | {f"feature {name}": each for name, each in features.items()}).items():
        if column.size != said.size:
            raise ValueError(f"{name} has {column.size} rows, and the predictions have {said.size}")
    if not said.size:
        return range(0)
    parts: list[range] = []
    for start in range(0, said.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        of_part = {name: column[part] for name, column in named.items()}
        part_features = {name: column[part] for name, column in features.items()}

        def fold(
            folding: "Folding",
            handles: range,
            rows: NDArray[Any] = said[part],
            of_part: dict[str, NDArray[Any]] = of_part,
            part_features: dict[str, NDArray[Any]] = part_features,
        ) -> None:
            _fold(folding, handles, rows, of_part, part_features)

        parts.append(monitor.fold_batch(said[part].size, fold))
        if monitor.logs is not None:
            monitor.logs.rows(parts[-1], _rows(parts[-1], said[part], of_part, part_features))
    return range(parts[0].start, parts[-1].stop)


def _fold(
    folding: "Folding",
    handles: range,
    said: NDArray[Any],
    named: dict[str, NDArray[Any]],
    features: dict[str, NDArray[Any]],
) -> None:
    told = Told()
    try:
        codes, values = _predicted(folding, said, told)
    except Exception:  # a value whose own methods raise: row by row it is told, and the others are counted
        folding.rows(list(zip(*_rows(handles, said, named, features), strict=True)))
        _labels(folding, handles, named)
        return
    said_besides = (
        numbers("confidence", named.get("confidences"), told, 1),
        numbers("latency_seconds", named.get("latencies_seconds"), told),
        numbers("input_length", named.get("input_lengths"), told),
    )
    folding.columns(np.arange(handles.start, handles.stop, dtype=np.int64), codes, values, *said_besides)
    if folding.has_rankings:
        folding.keep_rankings(handles, cast("Sequence[Any]", said.tolist()), told)
    _features(folding, features, told)
    if "segments" in named:
        given = cast("list[Any]", named["segments"].tolist())
        names = [None if each is None else plain("segment", each, str, told) for each in given]
        names = [None if each is None else bounded(each) for each in names]
        for handle, segment in zip(handles, names, strict=True):
            if segment is not None:
                folding.segment(handle, segment)
        folding.segments(names, *said_besides)
        _values_by_segment(folding, names, features)
    for reason, times in told.items():
        if times:
            folding.current.rejects.add(reason, times)
    if folding.capture is not None:
        folding.capture.rows(_rows(handles, said, named, features), folding.clock(), folding.current.rejects)
    _labels(folding, handles, named)


def _predicted(
    folding: "Folding", said: NDArray[Any], told: Told
) -> tuple[NDArray[np.int32] | None, NDArray[np.float64] | None]:
    """Codes of classes, or numbers."""
    folding.has_rankings = False
    if said.dtype.kind == "f":
        bad = ~np.isfinite(said)
        told["prediction: not finite"] += int(bad.sum())
        return None, np.where(bad, np.nan, said).astype(np.float64)
    if said.dtype.kind in "iubUS":
        distinct, places = np.unique(said, return_inverse=True)
        codes, _ = folding.codes(cast("Sequence[Any]", distinct.tolist()), told)
        if codes is not None and codes.all():
            return codes[places], None
        told.clear()  # some are no class that is known: each of their rows is told
    return folding.predictions(cast("Sequence[Any]", said.tolist()), told)


def _labels(folding: "Folding", handles: range, named: dict[str, NDArray[Any]]) -> None:
    if "true_labels" in named:
        for handle, truth in zip(handles, cast("list[Any]", named["true_labels"].tolist()), strict=True):
            if truth is not None:
                folding.event("label", handle, truth)


def _values_by_segment(folding: "Folding", names: Sequence[str | None], features: dict[str, NDArray[Any]]) -> None:
    for column in features.values():
        given: dict[str, list[Any]] = {}
        for name, value in zip(names, cast("list[Any]", column.tolist()), strict=True):
            if name is not None:
                given.setdefault(name, []).append(value)
        for name, values in given.items():
            if (part := folding.current.by_segment.get(name)) is not None:
                part.given(values)


def _rows(
    handles: range, said: NDArray[Any], named: dict[str, NDArray[Any]], features: dict[str, NDArray[Any]]
) -> "Iterator[Row]":
    """As `track` has them; labels come on their own."""
    nothing = [None] * said.size
    order = ("confidences", "latencies_seconds", "input_lengths", "segments")
    columns = [named[name].tolist() if name in named else nothing for name in order]
    values = list(zip(*(column.tolist() for column in features.values()), strict=True)) if features else nothing
    for row in zip(handles, said.tolist(), *columns, values, strict=True):
        handle, prediction, confidence, latency, length, segment, given = row
        featured = None if given is None else dict(zip(features, given, strict=True))
        yield handle, prediction, confidence, latency, length, (None, None, None, None, segment, featured, None)


def _features(folding: "Folding", features: dict[str, NDArray[Any]], told: Told) -> None:
    for name, column in features.items():
        if folding.kinds.get(name) != "category" and column.dtype.kind in "fiu":
            folding.kinds[name] = "number"
            record_numbers(folding.current, name, column.astype(np.float64))
        elif folding.kinds.get(name) == "number" or column.dtype.kind not in "US":
            record_feature(folding.current, folding.kinds, name, cast("Sequence[Any]", column.tolist()), told)
        else:
            folding.kinds[name] = "category"
            distinct, times = np.unique(column, return_counts=True)
            counted = Counter(dict(zip(map(str, distinct.tolist()), times.tolist(), strict=True)))
            record_categories(folding.current, name, counted)
