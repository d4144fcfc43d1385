"""What was predicted, as codes of classes or as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.columns import Told, floats
from watchkeeper_monitor.counts import LONGEST_NAME, bounded
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.ranking import is_ranking
from watchkeeper_monitor.recent import UNCODED, Codes


class Naming:
    """What `Folding` knows of the classes it has met."""

    classes: frozenset[str] | None
    current: Profile

    def __init__(self) -> None:
        self.class_codes = Codes()
        self._raw: dict[Any, int] = {}
        self.has_rankings = False
        """Whether rankings were among what `predictions` was given last."""

    def predictions(
        self, raw: Sequence[Any], told: Told
    ) -> tuple[NDArray[np.int32] | None, NDArray[np.float64] | None]:
        """Codes of classes, or numbers."""
        self.has_rankings = False
        if isinstance(raw[0], float | np.floating):
            try:
                values = np.fromiter(raw, np.float64, len(raw))
            except (TypeError, ValueError):
                return self._mixed(raw, told)
            return (None, values) if np.isfinite(values).all() else self._mixed(raw, told)
        return self.codes(raw, told)

    def codes(self, raw: Sequence[Any], told: Told) -> tuple[NDArray[np.int32] | None, NDArray[np.float64] | None]:
        """Codes of the classes that were predicted."""
        try:
            return np.fromiter(map(self._raw.__getitem__, raw), np.int32, len(raw)), None
        except (KeyError, TypeError):
            return self._mixed(raw, told)

    def _mixed(self, raw: Sequence[Any], told: Told) -> tuple[NDArray[np.int32], NDArray[np.float64] | None]:
        values: list[Any] = [each if isinstance(each, float | np.floating) else None for each in raw]
        codes = [
            UNCODED if value is not None or self._ranked(each) else self._code(each, told)
            for each, value in zip(raw, values, strict=True)
        ]
        return np.array(codes, np.int32), floats("prediction", values, told)

    def _ranked(self, raw: Any) -> bool:
        if not is_ranking(raw):
            return False
        self.has_rankings = True
        return True

    def _code(self, raw: Any, told: Told) -> int:
        try:
            code = self._raw.get(raw)
        except TypeError:
            told["prediction: neither a class nor a number"] += 1
            return UNCODED
        if code is not None:
            return code
        if raw is None:
            told["prediction: missing"] += 1
            return UNCODED
        name = bounded(str(raw))
        if self.classes is not None and name not in self.classes:
            told["prediction: unknown class"] += 1
            return UNCODED
        code = self.class_codes.code(name)
        short = not isinstance(raw, str | bytes) or len(raw) <= LONGEST_NAME
        if code != UNCODED and short and len(self._raw) < 2 * len(self.class_codes.names):
            self._raw[raw] = code
        elif code == UNCODED:
            self.current.classes.add(name)
        return code

    def _name(self, truth: Any) -> str:
        """The name of a class, as a prediction of the same value has it."""
        code = self._raw.get(truth)
        return bounded(str(truth)) if code is None else self.class_codes.names[code] or ""
