"""Why a container ended, once that was known: the engine forgets after some 256 events, and our own end."""

import contextlib
from datetime import datetime
from typing import cast, get_args

from watchkeeper.domain import StopCause
from watchkeeper.hosts.kept import Kept


class Ends:
    """One end of each container: its last."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._known: dict[str, tuple[str, StopCause]] = {}

    def recall(self, incarnation: str, finished: datetime, cause: StopCause) -> StopCause:
        """The cause as it is told now, which is remembered; where it is told no more, as it was."""
        about, at = f"end of {incarnation}", finished.isoformat()
        if cause != "unknown":
            if self._known.get(incarnation) != (at, cause):
                self._known[incarnation] = at, cause
                with contextlib.suppress(OSError):  # what cannot be kept is not known after a restart
                    self._kept.note(about, {"finished": at, "cause": cause})
            return cause
        known = self._known.get(incarnation)
        if known is None:
            noted = self._kept.noted(about)
            if noted.get("cause") in get_args(StopCause):
                known = self._known[incarnation] = noted.get("finished", ""), cast("StopCause", noted["cause"])
        return known[1] if known is not None and known[0] == at else cause
