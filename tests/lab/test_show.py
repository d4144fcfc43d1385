"""What is told of the support-bot before a shift and since, from two summaries."""

import math
from typing import Any

import pytest

from watchkeeper_lab.support_bot.show import Stretch, Told, stretch


def summary(
    predictions: int, confidence: float | None, labelled: int, right: float | None, handed: float
) -> dict[str, Any]:
    return {
        "predictions": predictions,
        "performance": {"confidence_mean": confidence, "accuracy_total": {"value": right, "of": labelled}},
        "business": {"escalation_rate": {"value": handed, "of": predictions}},
    }


def test_what_came_since_is_told_apart_from_what_was_before() -> None:
    before, after = summary(300, 0.9, 100, 0.9, 0.2), summary(500, 0.7, 150, 0.7, 0.44)
    since = stretch(before, after, {})
    assert (since.predictions, since.labelled) == (200, 50)
    assert since.confidence == pytest.approx(0.4)
    assert since.accuracy == pytest.approx(0.3)
    assert since.escalated == pytest.approx(0.8)


def test_without_labels_nothing_is_said_of_accuracy() -> None:
    told = stretch({}, summary(10, 0.9, 0, None, 0.1), {})
    assert told.labelled == 0
    assert math.isnan(told.accuracy)


def test_a_quiet_time_that_is_called_drift_is_not_right_and_neither_is_a_shift_that_is_not() -> None:
    still = Stretch(300, 100, 0.9, 0.9, 0.2, {"input_length": "none", "latency_seconds": "large"})
    moved = Stretch(200, 100, 0.3, 0.5, 0.8, {"input_length": "large"})
    assert Told(still, moved).right
    assert not Told(still, still).right
    assert not Told(moved, moved).right
