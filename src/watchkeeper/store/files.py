"""The files of a SQLite store: whether they are still those that were opened.

SQLite itself goes on with a file that was removed under it, and whoever opens it anew gets an empty one: what is
written then is lost without an error (sqlite.org/howtocorrupt.html, 2.4: unlinking a database while in use).
"""

import os
from pathlib import Path

from watchkeeper.store.postgres import StoreAway


class StoreGone(StoreAway):
    """A file of the store is not where it was."""


class Files:
    """Empty where the store is a server's: then there is nothing to look at."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int]] = {}

    def keep(self, path: Path) -> None:
        """From now on this file is one of them, as it is now."""
        self._known[path] = _identity(path)

    def check(self) -> None:
        """Raises StoreGone where one of them is gone, or another stands in its place. A few microseconds."""
        for path, known in self._known.items():
            try:
                if _identity(path) == known:
                    continue
                became = "was replaced by another file"
            except OSError as problem:
                became = f"is gone ({problem.strerror}): it was removed or moved away"
            raise StoreGone(
                f"The store cannot be written: {path} {became} while it was in use.",
                "Looking goes on, nothing is changed: what cannot be recorded is not done. Put the same file back "
                f"(mv), or end this process (Ctrl-C, or `kill {os.getpid()}`) and start `watchkeeper up` again.",
            )


def _identity(path: Path) -> tuple[int, int]:
    said = path.stat()
    return said.st_dev, said.st_ino
