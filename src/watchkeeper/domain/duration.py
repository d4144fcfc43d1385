"""Lengths of time as people write them."""

import math
import re

from watchkeeper.domain.errors import ConfigurationError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = r"\d+(?:\.\d+)?(?:ms|s|m|h|d|w)"
_WHOLE = re.compile(rf"^(?:{_PART})+$")
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def seconds(text: str | float) -> float:
    """`4s`, `200ms`, `5m`, `1h30m`, `2d`, or a plain number, in seconds. Raises ConfigurationError.

    >>> seconds("1h30m"), seconds("200ms"), seconds(4)
    (5400.0, 0.2, 4.0)
    """
    if isinstance(text, int | float):
        if 0 <= text < math.inf:
            return float(text)
    elif _WHOLE.match(text.strip()):
        total = sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))
        if total < math.inf:
            return total
    raise ConfigurationError(f"{text!r} is not a duration.", "Write it like 4s, 200ms, 5m, 1h30m or 2d.")
