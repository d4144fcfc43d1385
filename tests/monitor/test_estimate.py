"""Accuracy where labels are not there yet: an estimate that says that it is one."""

import json
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from watchkeeper_monitor import ModelCollector, Monitor, Reference
from watchkeeper_monitor.byclass import ByClass
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
    now = answered(3000, 2, (11, 3.9))
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
    now = answered(3000, 7)
    monitor.track_batch(
        now["prediction"], confidences=now["confidence"], input_lengths=np.random.default_rng(7).poisson(5, 3000)
    )
    assert monitor.summary().performance.estimate.doubts == ["input_length"]
    assert "doubtful: input_length changed" in str(monitor.summary())


@pytest.mark.parametrize("by", ["reference", "labels"])
def test_confidence_that_fell_while_the_same_is_predicted_withdraws_it(by: str) -> None:
    usual, now = answered(4000, 6), answered(3000, 7, (3, 3))
    monitor = Monitor("bot", drift_window=500, reference=Reference.from_data(usual) if by == "reference" else None)
    if by == "labels":
        monitor.track_batch(usual["prediction"], confidences=usual["confidence"], true_labels=usual["label"])
    monitor.track_batch(now["prediction"], confidences=now["confidence"])
    if by == "labels":
        monitor.track_batch(now["prediction"], confidences=now["confidence"])
    said = monitor.summary().performance.estimate
    assert (said.calibrated_by, said.accuracy.of) == (by, 0)
    assert "confidence is 0.49, 0.75" in said.withdrawn
    assert "no estimate: confidence is 0.49" in str(monitor.summary())
    assert "no estimate: confidence is 0.49" in monitor.report()
    registry = CollectorRegistry()
    registry.register(ModelCollector(monitor))
    assert "accuracy_estimate" not in generate_latest(registry).decode()


def shared(rows: int, seed: int, hard: float) -> dict[str, list[str] | np.ndarray]:
    """Two classes; of the hard one the model is less sure, and wrong more often than its confidence tells."""
    random = np.random.default_rng(seed)
    difficult = random.random(rows) < hard
    confidence = np.where(difficult, random.beta(5, 3, rows), random.beta(9, 1, rows))
    right = random.random(rows) < np.where(difficult, confidence - 0.2, confidence)
    said = np.where(difficult, "loan", "card")
    return {"prediction": said, "confidence": confidence, "label": np.where(right, said, "other")}


@pytest.mark.parametrize("hard", [0.05, 0.2, 0.8])
def test_other_shares_of_the_same_classes_are_no_reason_to_be_wrong_or_silent(hard: float) -> None:
    held: list[bool] = []
    errors: list[float] = []
    for seed in range(60):
        usual = json.loads(json.dumps(Reference.from_data(shared(4000, seed, 0.2)).to_dict()))
        monitor, now = Monitor("bot", reference=Reference.from_dict(usual)), shared(1000, 100 + seed, hard)
        monitor.track_batch(now["prediction"], confidences=now["confidence"])
        said = monitor.summary().performance.estimate
        truth = float((np.asarray(now["label"]) == np.asarray(now["prediction"])).mean())
        if said.withdrawn:
            continue
        errors.append(said.accuracy.value - truth)
        held.append(said.accuracy.low <= truth <= said.accuracy.high)
    assert len(held) >= 58
    assert abs(np.mean(errors)) < 0.01
    assert np.mean(held) >= 0.85


@pytest.mark.parametrize(
    "rows", [{}, {"a": (0, 0, 0)}, {"a": (10, 11, 5)}, {"a": (10, 1, 11)}, {"a": (10, float("nan"), 5)}]
)
def test_what_is_no_calibration_by_class_is_refused(rows: dict[str, tuple[float, float, float]]) -> None:
    with pytest.raises(ValueError, match="of a calibration ha"):
        ByClass(rows, 0.1, 0.1)


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
