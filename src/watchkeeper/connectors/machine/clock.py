"""Whether a machine's clock is right: the kernel's word for this one, a comparison with ours for others."""

import ctypes
import sys

_UNSYNC = 0x0040
_NANO = 0x2000
_ERROR = 5
"""What adjtimex returns for a clock that nobody disciplines."""


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def own_clock() -> dict[str, float]:
    """`clock_synchronised` (flag) and `clock_offset_seconds` of this machine; empty where the kernel does not tell."""
    if not sys.platform.startswith("linux"):
        return {}
    try:
        said = _Timex()
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(said))
    except (OSError, AttributeError):
        return {}
    if state < 0:
        return {}
    synchronised = state != _ERROR and not said.status & _UNSYNC
    found = {"clock_synchronised": float(synchronised)}
    if synchronised:
        found["clock_offset_seconds"] = abs(said.offset) / (1e9 if said.status & _NANO else 1e6)
    return found


def compared(theirs: float, asked: float, answered: float) -> float:
    """By how many seconds at least another machine's clock differs from ours: it was read at some time between."""
    return max(0.0, asked - theirs, theirs - answered)
