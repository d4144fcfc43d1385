"""A batch counts as its rows would."""

import numpy as np
import pytest

from watchkeeper_monitor import Monitor


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
