"""The lines of sudoers that let one user start and restart just these units, and nothing else."""

import re
from collections.abc import Iterable, Sequence

from watchkeeper.domain import Right
from watchkeeper.domain.rights import of_kind

EXAMPLE = "YOUR-UNIT.service"
SYSTEMCTL = "/usr/bin/systemctl"
_SPECIAL = re.compile(r"([,:=*?\[\]])")


def sudoers(rights: Iterable[Right], units: Sequence[str], *, user: str) -> str:
    """One line, for a file below /etc/sudoers.d; empty where no right is about units. What follows `--` is one argument
    and matches itself alone."""
    verbs = dict.fromkeys(right.what for right in of_kind(rights, "unit"))
    allowed = [f"{SYSTEMCTL} {verb} -- {escaped(unit)}" for unit in units for verb in verbs]
    return f"{user} ALL=(root) NOPASSWD: {', '.join(allowed)}" if allowed else ""


def escaped(unit: str) -> str:
    r"""A unit's name as an argument in sudoers: read once as text, and once more as a pattern.

    >>> print(escaped("getty:1.service"), escaped(r"dev-disk\x2d1.service"))
    getty\:1.service dev-disk\\\\x2d1.service
    """
    return _SPECIAL.sub(r"\\\1", unit.replace("\\", "\\\\\\\\"))
