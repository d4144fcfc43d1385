"""Figures with their units as people write them: the unit is in the name of a metric."""

import math

from watchkeeper.domain.spoken import spoken

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def unit(metric: str) -> str:
    """The unit that a metric's name carries; empty for a count.

    >>> [unit(name) for name in ("used_memory_ratio", "ping_seconds", "errors_per_second", "keys")]
    ['ratio', 'seconds', 'per_second', '']
    """
    for one in ("per_second", "ratio", "bytes", "seconds", "days"):
        if metric.endswith(f"_{one}") or metric == one:
            return one
    return ""


def words(metric: str) -> str:
    """The name of a metric as words, without the unit that its figures show.

    >>> words("used_memory_ratio"), words("errors_per_second"), words("keys")
    ('used memory', 'errors per second', 'keys')
    """
    name = metric
    for suffix in ("_ratio", "_bytes", "_seconds"):
        name = name.removesuffix(suffix) if not name.endswith("per_second") else name
    return name.replace("_", " ") or metric


def figure(value: float, of: str) -> str:
    """
    >>> [figure(0.9981, "ratio"), figure(268435456, "bytes"), figure(0.25, "seconds"), figure(61440, "")]
    ['99.8 %', '256 MiB', '250 ms', '61,440']
    """
    if of == "ratio":
        return f"{plain(value * 100)} %"
    if of == "bytes":
        power = min(int(math.log(abs(value), 1024)), 4) if abs(value) >= 1 else 0
        return f"{plain(value / 1024**power)} {_SIZES[power]}"
    if of == "seconds":
        return f"{plain(value * 1000)} ms" if 0 < abs(value) < 1 else spoken(value) if value else "0 s"
    return f"{plain(value)}{' /s' if of == 'per_second' else ''}"


def plain(value: float) -> str:
    """Three digits that matter, no more.

    >>> [plain(v) for v in (0, 99.81, 25, 0.04, 1234.5)]
    ['0', '99.8', '25', '0.04', '1,234']
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
