"""How a person says how long something took, and sentences that a reading completes."""

import re
from collections.abc import Mapping

_FACT = re.compile(r"\{(\w+)\}")


def spoken(seconds: float) -> str:
    """
    >>> [spoken(s) for s in (4.2, 52, 840, 7200)]
    ['4.2 s', '52 s', '14 min', '2.0 h']
    """
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def filled(text: str, facts: Mapping[str, str]) -> str:
    """
    >>> filled("{network} Why: {other}.", {"network": "It is cut."})
    'It is cut. Why: {other}.'
    """
    return _FACT.sub(lambda found: facts.get(found[1], found[0]), text)
