"""A batch counts as its rows would."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from watchkeeper_monitor import Monitor, Reference


def test_a_batch_counts_as_its_rows_would() -> None:
    by_rows, by_batch = Monitor("bot"), Monitor("bot")
    said = ["card", "cash", "card", "gold"]
    shares, seconds = [0.9, 1.5, 0.2, 0.3], [0.1, 0.2, -1.0, 0.4]
    true, country = ["card", "card", "card", "gold"], ["de", "us", "de", None]
    for row in zip(said, shares, seconds, true, country, strict=True):
        features = {"country": row[4], "age": row[1]}
        by_rows.track(row[0], row[1], row[2], true_label=row[3], segment="eu", features=features)
    handles = by_batch.track_batch(
        np.array(said),
        confidences=np.array(shares),
        latencies_seconds=seconds,
        true_labels=true,
        segments=["eu"] * 4,
        features={"country": country, "age": np.array(shares)},
    )
    assert len(handles) == 4
    one, other = by_rows.profile().to_dict(), by_batch.profile().to_dict()
    for varying in ("began", "ended"):
        del one[varying], other[varying]
    assert one == other


def test_handles_of_a_batch_take_labels() -> None:
    monitor = Monitor("bot")
    single = monitor.track("a")
    handles = monitor.track_batch(np.array([1, 2, 2]))
    for handle, truth in zip(handles, (1, 2, 1), strict=True):
        monitor.label(handle, truth)
    monitor.label(single, "a")
    assert monitor.summary().performance.accuracy_total.of == 4
    assert monitor.summary().performance.accuracy_total.value == 0.75


def test_numbers_are_predicted_in_batches_too() -> None:
    monitor = Monitor("price")
    monitor.track_batch(np.array([1.5, np.nan, -2.0], np.float32), true_labels=[1.0, 2.0, -2.0])
    said = monitor.summary()
    assert said.performance.mean_absolute_error == 0.25
    assert said.quality.rejects == {"prediction: not finite": 1, "label: its prediction was rejected": 1}


def test_every_row_of_an_unknown_class_is_told() -> None:
    monitor = Monitor("bot", classes=["a"])
    monitor.track_batch(np.array(["a", "b", "b", "c"]))
    said = monitor.summary()
    assert said.classes == {"a": 1}
    assert said.quality.rejects == {"prediction: unknown class": 3}


def test_columns_of_different_length_are_refused_before_anything_is_counted() -> None:
    monitor = Monitor("bot")
    with pytest.raises(ValueError, match="confidences has 1 rows, and the predictions have 2"):
        monitor.track_batch(["a", "b"], confidences=[0.5])
    assert monitor.summary().predictions == 0


def test_an_empty_batch_is_nothing() -> None:
    monitor = Monitor("bot")
    assert len(monitor.track_batch([])) == 0
    assert monitor.summary().predictions == 0


SAID = ["card", "cash", "card", None]
SURE = [0.9, 0.2, None, 0.3]
GIVEN = {"age": [1, 2, None, 4], "country": ["de", "us", None, "de"], "flag": [True, False, True, None]}


def masked(values: list[Any]) -> Any:
    return np.ma.masked_array(
        [values[0] if each is None else each for each in values], [each is None for each in values]
    )


TABLES: dict[str, tuple[Callable[[list[Any]], Any], Callable[[Any], Any]]] = {
    "mapping": (list, dict),
    "NumPy, masked": (masked, dict),
    "pandas": (pd.Series, pd.DataFrame),
    "pandas, nullable": (lambda values: pd.Series(values).convert_dtypes(), pd.DataFrame),
    "pandas, categorical": (lambda values: pd.Series(pd.Categorical(values)), pd.DataFrame),
    "Polars": (pl.Series, pl.DataFrame),
    "Arrow": (pa.array, pa.table),
    "Arrow, in chunks": (lambda values: pa.chunked_array([values[:2], values[2:]], pa.array(values).type), pa.table),
    "Arrow, dictionary": (lambda values: pa.array(values).dictionary_encode(), pa.table),
}


@pytest.mark.parametrize("kind", TABLES)
def test_columns_of_every_library_are_counted_alike_also_what_they_lack(kind: str) -> None:
    column, table = TABLES[kind]
    monitor = Monitor("bot")
    features = table({name: column(values) for name, values in GIVEN.items()})
    monitor.track_batch(column(SAID), confidences=column(SURE), features=features)
    profile = monitor.profile()
    assert profile.classes.kept == {"card": 2, "cash": 1}
    assert profile.rejects.kept == {"prediction: missing": 1}
    assert profile.confidence.count == 3
    assert (profile.numbers["age"].count, profile.numbers["age"].invalid) == (3, 0)
    assert profile.missing.kept == {"age": 1, "country": 1, "flag": 1}
    assert profile.categories["country"].kept == {"de": 2, "us": 1}
    assert profile.categories["flag"].kept == {"True": 2, "False": 1}


@pytest.mark.parametrize("kind", TABLES)
def test_a_reference_of_every_library_is_the_same(kind: str) -> None:
    column, table = TABLES[kind]
    many = {name: values * 100 for name, values in GIVEN.items() if name != "flag"}
    reference = Reference.from_data(table({name: column(values) for name, values in many.items()}))
    assert reference.categories == {"country": {"de": 200, "us": 100}}
    assert sorted(set(reference.numbers["age"].values.tolist())) == [1, 2, 4]
    drift = reference.compare(table({name: column(values) for name, values in many.items()}))
    assert [(each.psi, each.missing) for each in drift.columns] == [(0, 0.25), (0, 0.25)]
