"""Conditions in CEL, compiled once, evaluated often, with `None` where the data to decide is missing."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from watchkeeper.domain.errors import ConfigurationError

if TYPE_CHECKING:
    import cel

    Scope = cel.Context
else:
    Scope = Any  # cel brings a command line of its own, 0.8 s to import: only whoever evaluates pays for it


_OF_A_READING = re.compile(r"\b(?:reading|facts)\b(?:\.(\w+))?")


def scope(**variables: Any) -> Scope:
    """A prebuilt context: build it once per reading and evaluate every condition against it."""
    import cel

    return cel.Context(variables)


def numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics as CEL sees them: floats only, and nothing that compares as nonsense (NaN, infinities)."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Condition:
    """One CEL expression.

    >>> Condition("reading.used_memory_ratio > 0.95").holds(scope(reading={"used_memory_ratio": 0.97}))
    True
    >>> Condition("reading.used_memory_ratio > 0.95").holds(scope(reading={})) is None
    True
    """

    source: str
    _program: "cel.Program" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import cel

        try:
            program = cel.compile(self.source)
        except Exception as problem:
            first = str(problem).strip().splitlines()
            raise ConfigurationError(
                f"The expression {self.source!r} is not valid CEL: {first[0] if first else problem}",
                "The language: https://cel.dev; names it may use: `watchkeeper runbooks show NAME`.",
            ) from None
        object.__setattr__(self, "_program", program)

    @property
    def names(self) -> frozenset[str] | None:
        """The metrics and facts it names; None where that cannot be told (`reading["name"]`).

        >>> sorted(Condition("reading.up < 1.0 || facts.role == 'master'").names or ())
        ['role', 'up']
        """
        named = _OF_A_READING.findall(self.source)
        return frozenset(named) if all(named) else None

    def holds(self, within: Scope) -> bool | None:
        """True or False; `None` when a name it needs is missing: no data is never an answer, nor is a mere number."""
        value = self.value(within)
        return value if isinstance(value, bool) else None

    def value(self, within: Scope) -> Any:
        """The value of the expression, or `None` when a name it needs is missing or it is no number (1.0 / 0.0)."""
        try:
            value: Any = self._program.execute(within)
        except Exception:
            return None
        return None if isinstance(value, float) and not math.isfinite(value) else value

    def check(self, sample: Scope, *, decides: bool = True) -> None:
        """Evaluate against a sample. Raises ConfigurationError for a name the sample does not know, and, where it
        `decides`, for an expression that is neither true nor false."""
        try:
            value: Any = self._program.execute(sample)
        except Exception as problem:
            raise ConfigurationError(
                f"The expression {self.source!r} cannot be evaluated: {str(problem).strip().splitlines()[0]}",
                "Check the names: `watchkeeper tools` and docs/runbooks.md list what a reading offers.",
            ) from None
        if decides and not isinstance(value, bool):
            raise ConfigurationError(
                f"The expression {self.source!r} gives {value!r}, which is neither true nor false.",
                "Compare it with something: reading.used_memory_ratio > 0.95.",
            )
