"""How a person says how long something took, and sentences that a reading completes."""

import re
from collections.abc import Mapping

_FACT = re.compile(r"\{(\w+)\}")


def spoken(seconds: float) -> str:
    """To the second below ten minutes.

    >>> [spoken(s) for s in (4.2, 52, 59.7, 114, 120, 840, 7200)]
    ['4.2 s', '52 s', '1 min', '1 min 54 s', '2 min', '14 min', '2.0 h']
    """
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def filled(text: str, facts: Mapping[str, str]) -> str:
    """
    >>> filled("{network} Why: {other}.", {"network": "It is cut."})
    'It is cut. Why: {other}.'
    """
    return _FACT.sub(lambda found: facts.get(found[1], found[0]), text)
