"""Accuracy where labels are not there yet: an estimate that says that it is one."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from watchkeeper_monitor import ModelCollector, Monitor, Reference
from watchkeeper_monitor.estimate import Calibration
from watchkeeper_monitor.numbers import Shares


def answered(rows: int, seed: int, sure: tuple[float, float] = (6, 2)) -> dict[str, list[str] | np.ndarray]:
    """A model that is right less often than it thinks: with the square of its confidence."""
    random = np.random.default_rng(seed)
    confidence = random.beta(*sure, rows)
    label = np.where(random.random(rows) < confidence**2, "card", "cash")
    return {"prediction": ["card"] * rows, "confidence": confidence, "label": label}


def test_the_estimate_is_nearer_to_the_truth_than_the_mean_confidence(tmp_path: Path) -> None:
    Reference.from_data(answered(4000, 1)).save(tmp_path / "reference.json")
    monitor = Monitor("bot", reference=Reference.load(tmp_path / "reference.json"))
    now = answered(3000, 2, (5, 2))
    monitor.track_batch(now["prediction"], confidences=now["confidence"])
    truth = float((now["label"] == np.array("card")).mean())
    said = monitor.summary().performance
    assert said.estimate.accuracy.low < truth < said.estimate.accuracy.high
    assert abs(said.estimate.accuracy.value - truth) < 0.2 * abs(said.confidence_mean - truth)
    assert (said.estimate.calibrated_on, said.estimate.calibrated_by) == (4000, "reference")
    assert said.coverage == 0
    assert "accuracy, estimated" in str(monitor.summary())
    registry = CollectorRegistry()
    registry.register(ModelCollector(monitor))
    assert "watchkeeper_model_accuracy_estimate{" in generate_latest(registry).decode()
    assert "label" not in [each.name for each in monitor.drift().columns]


def test_without_a_reference_the_labels_that_came_before_are_what_it_is_calibrated_by() -> None:
    monitor = Monitor("bot")
    before, now = answered(2000, 3), answered(2000, 4)
    handles = monitor.track_batch(before["prediction"], confidences=before["confidence"], true_labels=before["label"])
    assert len(handles) == 2000
    monitor.track_batch(now["prediction"], confidences=now["confidence"])
    said = monitor.summary().performance
    assert said.estimate.calibrated_by == "labels"
    assert said.estimate.accuracy.value == pytest.approx(float((now["label"] == np.array("card")).mean()), abs=0.03)


def test_few_labels_make_no_estimate() -> None:
    monitor = Monitor("bot")
    few = answered(100, 5)
    monitor.track_batch(few["prediction"], confidences=few["confidence"], true_labels=few["label"])
    said = monitor.summary().performance.estimate
    assert (said.calibrated_by, said.accuracy.of) == ("", 0)
    assert "estimated" not in str(monitor.summary())


def test_inputs_that_are_not_as_they_were_make_it_doubtful() -> None:
    usual = answered(4000, 6) | {"input_length": np.random.default_rng(6).poisson(30, 4000)}
    monitor = Monitor("bot", reference=Reference.from_data(usual))
    now = answered(3000, 7, (3, 3))
    monitor.track_batch(
        now["prediction"], confidences=now["confidence"], input_lengths=np.random.default_rng(7).poisson(5, 3000)
    )
    assert monitor.summary().performance.estimate.doubts == ["confidence", "input_length"]
    assert "doubtful: confidence, input_length changed" in str(monitor.summary())


def test_a_calibration_never_falls_with_confidence() -> None:
    random = np.random.default_rng(8)
    calibration = Calibration.from_data(random.random(1000), random.random(1000) < 0.5)
    shares = calibration.of(np.linspace(0, 1, 50))
    assert (np.diff(shares) >= 0).all()
    nothing = calibration.estimate(Shares(), "reference")
    assert nothing.calibrated_by == ""


def test_what_is_no_calibration_is_refused() -> None:
    with pytest.raises(ValueError, match="a calibration has points"):
        Calibration([(0.5, 10, 11)])


def test_segments_say_how_many_of_their_labels_came() -> None:
    monitor = Monitor("bot")
    for number in range(100):
        monitor.track("card", segment="web" if number < 80 else "app", true_label="card" if number % 4 == 0 else None)
    said = monitor.summary().performance
    assert said.segment_coverage == {"web": 0.25, "app": 0.25}
    assert said.segments["web"].of == 20
    assert "labels of 25.0%" in str(monitor.summary())
