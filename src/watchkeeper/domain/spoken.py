"""How a person says how long something took."""


def spoken(seconds: float) -> str:
    """
    >>> [spoken(s) for s in (4.2, 52, 840, 7200)]
    ['4.2 s', '52 s', '14 min', '2.0 h']
    """
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
