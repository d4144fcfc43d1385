"""What labels say of predictions: counts by class, confusion, calibration, residuals; mergeable."""

from collections.abc import Mapping
from typing import Any

from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.numbers import Numbers

CELLS = 10_000
"""Cells of the confusion matrix that are kept: all of them for up to 100 classes."""
CALIBRATION_BINS = 10
BETWEEN = "\x1f"
"""Stands between truth and prediction in the name of a cell of the confusion matrix."""
_COUNTS = ("labelled", "correct", "confident", "unknown", "repeated", "conflicting")


class Truth:
    """Labels met with their predictions."""

    def __init__(self) -> None:
        self.labelled = 0
        """Predictions whose truth is known."""
        self.correct = 0
        self.confident = 0
        """Those of the labelled that came with a confidence."""
        self.unknown = 0
        """Labels for predictions that are not known here, or no longer remembered."""
        self.repeated = 0
        """Labels that said the same again; not counted twice."""
        self.conflicting = 0
        """Labels that contradicted an earlier one; the first stands."""
        self.true = Counts()
        self.predicted = Counts()
        self.hits = Counts()
        self.confusion = Counts(CELLS)
        self.calibration = [[0, 0, 0.0] for _ in range(CALIBRATION_BINS)]
        """By tenth of confidence: how many, how many of them right, the sum of their confidences."""
        self.squared_confidence_error = 0.0
        self.residuals = Numbers()
        """Predicted minus true, of numbers."""
        self.squared_residuals = 0.0

    def judged(self, true: str, predicted: str, confidence: float | None) -> bool:
        """Count one label met with its prediction; whether it was right."""
        right = true == predicted
        self.labelled += 1
        self.correct += right
        self.true.add(true)
        self.predicted.add(predicted)
        if right:
            self.hits.add(true)
        self.confusion.add(f"{true}{BETWEEN}{predicted}")
        if confidence is not None and confidence == confidence:
            self.confident += 1
            cell = self.calibration[min(CALIBRATION_BINS - 1, int(confidence * CALIBRATION_BINS))]
            cell[0] += 1
            cell[1] += right
            cell[2] += confidence
            self.squared_confidence_error += (confidence - right) ** 2
        return right

    def measured(self, true: float, predicted: float) -> None:
        """Count the true value of a predicted number."""
        self.labelled += 1
        self.residuals.record(predicted - true)
        self.squared_residuals += (predicted - true) ** 2

    def merge(self, other: "Truth") -> None:
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("true", "predicted", "hits", "confusion", "residuals"):
            getattr(self, name).merge(getattr(other, name))
        for mine, theirs in zip(self.calibration, other.calibration, strict=True):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]
        self.squared_confidence_error += other.squared_confidence_error
        self.squared_residuals += other.squared_residuals

    def to_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: getattr(self, name).to_dict() for name in ("true", "predicted", "hits", "confusion", "residuals")},
            "calibration": [list(cell) for cell in self.calibration],
            "squared_confidence_error": self.squared_confidence_error,
            "squared_residuals": self.squared_residuals,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Truth":
        made = cls()
        for name in _COUNTS:
            setattr(made, name, content[name])
        for name in ("true", "predicted", "hits", "confusion"):
            setattr(made, name, Counts.from_dict(content[name]))
        made.residuals = Numbers.from_dict(content["residuals"])
        made.calibration = [list(cell) for cell in content["calibration"]]
        made.squared_confidence_error = content["squared_confidence_error"]
        made.squared_residuals = content["squared_residuals"]
        return made
