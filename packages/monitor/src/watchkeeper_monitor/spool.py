"""What waits to be sent: in memory while the server answers, on disk while it is away, bounded in both."""

import os
import re
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # no such locks there: what a dead process left is not taken over
    fcntl = None

IN_MEMORY = 4 << 20
"""Bytes kept where nothing can be written to disk."""
_NAME = re.compile(r"(?P<sequence>\d{12})-(?P<kind>[a-z]+)-(?P<form>json|arrow)-(?P<rows>\d+)")


@dataclass(slots=True)
class Item:
    """One push, as it is sent again and again until it is answered: same process, number and content each time."""

    process: str
    sequence: int
    kind: str
    """`profiles`, `records` or `labels`."""
    form: str
    """`json` or `arrow`."""
    rows: int
    """Predictions, or labels, that are lost where it is."""
    body: bytes | None
    """None: on disk, at `path`."""
    size: int
    path: Path | None = None

    def read(self) -> bytes:
        """Raises OSError where somebody took the file away."""
        if self.body is not None:
            return self.body
        if self.path is None:
            raise FileNotFoundError("neither in memory nor on disk")
        return self.path.read_bytes()


@dataclass(slots=True)
class Lost:
    """What was let go, since the process began."""

    pushes: int = 0
    rows: int = 0


def default_folder() -> Path:
    """WATCHKEEPER_SPOOL, else a folder of the user's own among the temporary files."""
    if said := os.environ.get("WATCHKEEPER_SPOOL"):
        return Path(said)
    return Path(tempfile.gettempdir()) / f"watchkeeper-spool-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


class Spool:
    """Oldest first. Not thread-safe: whoever pushes holds a lock around every call.

    On disk each process has a folder of its own that it holds a lock on. One whose lock is free belonged to a process
    that is dead: its pushes are taken over, under that process's name, so that none is counted twice.
    """

    def __init__(self, folder: Path, process: str, most: int) -> None:
        """`most`: bytes on disk."""
        self._folder = folder
        self._process = process
        self._most = most
        self._locks: list[int] = []
        self._own: Path | None = None
        self._broken = False
        self.items: deque[Item] = deque()
        self.lost = Lost()

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)

    def add(self, item: Item) -> None:
        self.items.append(item)
        self._bound()

    def done(self, item: Item) -> None:
        """It was answered, or nothing can be done for it any more."""
        with suppress(ValueError):
            self.items.remove(item)
        if item.path is not None:
            with suppress(OSError):
                item.path.unlink()

    def drop(self, item: Item) -> None:
        self.done(item)
        self.lost.pushes += 1
        self.lost.rows += item.rows

    def keep(self) -> None:
        """Everything that is in memory goes to disk, where that can be written."""
        for item in self.items:
            if item.path is None and not self._write(item):
                break
        self._bound()

    def _write(self, item: Item) -> bool:
        folder = self._own or self._make()
        if folder is None or item.body is None:
            return False
        path = folder / f"{item.sequence:012d}-{item.kind}-{item.form}-{item.rows}"
        part = path.with_suffix(".part")
        try:
            part.write_bytes(item.body)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()  # half of it would take room that others need
            return False
        item.path, item.body = path, None
        return True

    def _make(self) -> Path | None:
        if self._broken:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if hasattr(os, "getuid") and self._folder.stat().st_uid != os.getuid():
                raise PermissionError("the folder belongs to somebody else")
            own = self._folder / self._process
            own.mkdir(mode=0o700, exist_ok=True)
            if (lock := _locked(own / "lock")) is None:
                raise PermissionError("it cannot be locked")
            self._locks.append(lock)
        except OSError:
            self._broken = True
            return None
        self._own = own
        return own

    def adopt(self) -> None:
        """Take over what dead processes left, oldest first, before what is our own."""
        try:
            folders = sorted(self._folder.iterdir()) if fcntl is not None else []
        except OSError:
            return
        found: list[Item] = []
        for folder in folders:
            if folder.name == self._process or not re.fullmatch(r"[0-9a-f]{32}", folder.name):
                continue
            if (lock := _locked(folder / "lock")) is None:
                continue
            if items := list(_within(folder)):
                self._locks.append(lock)
                found += items
                continue
            if time.time() - folder.stat().st_mtime > 3600:  # before, its owner may just be making it
                shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
        self.items.extendleft(reversed(found))
        self._bound()

    def _bound(self) -> None:
        waiting = sum(item.size for item in self.items if item.path is None)
        kept = self.size - waiting
        for item in list(self.items):
            if item.path is not None and kept > self._most:
                kept -= item.size
                self.drop(item)
            elif item.path is None and waiting > IN_MEMORY and len(self.items) > 1:
                waiting -= item.size
                self.drop(item)

    def forget(self) -> None:
        """In a forked child: what waits is the parent's, and so are its locks."""
        self.items.clear()
        self._own = None
        self._let_go()

    def close(self) -> None:
        """Let go of the locks; an empty folder goes with them."""
        if self._own is not None and not any(item.path and item.path.parent == self._own for item in self.items):
            shutil.rmtree(self._own, ignore_errors=True)
        self._own = None
        self._let_go()

    def _let_go(self) -> None:
        for lock in self._locks:
            with suppress(OSError):
                os.close(lock)
        self._locks.clear()


def _locked(path: Path) -> int | None:
    """The lock of a folder, or None where somebody holds it."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError:
        return None
    if fcntl is None:
        return lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _within(folder: Path) -> Iterator[Item]:
    for path in sorted(folder.iterdir()):
        if (found := _NAME.fullmatch(path.name)) is not None:
            yield _item(folder.name, found.groupdict(), path)


def _item(process: str, named: dict[str, Any], path: Path) -> Item:
    size = path.stat().st_size
    return Item(process, int(named["sequence"]), named["kind"], named["form"], int(named["rows"]), None, size, path)


def folder_of(root: Path, model: str, server: str) -> Path:
    """One for each model and server, whatever characters their names have."""
    plain = re.sub(r"[^\w.-]", "_", model)[:60]
    return root / f"{plain}-{blake2b(f'{server} {model}'.encode(), digest_size=6).hexdigest()}"
