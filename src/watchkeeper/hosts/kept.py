"""Former contents of files, kept by their hash, so that the last good one can be put back. Never shown, never sent."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts.answers import moment

_NOT_REGULAR = 0x8F28_0000
"""Bits of Go's file mode: directory, link, device, pipe, socket, irregular."""
LARGEST = 1 << 20
"""Bytes of a file that is kept; configuration is small."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """What an engine tells of a file without its content. `size` in bytes."""

    size: int
    modified: datetime
    regular: bool

    @classmethod
    def of(cls, header: str) -> "FileStat":
        """From the engine's header. Raises WatchkeeperError."""
        try:
            told: dict[str, Any] = json.loads(base64.b64decode(header))
            modified = moment(str(told["mtime"]))
            if modified is None:
                raise ValueError("no time")
            return cls(int(told["size"]), modified, not int(told["mode"]) & _NOT_REGULAR)
        except (ValueError, KeyError, TypeError):
            raise WatchkeeperError("The engine does not tell how the file is.") from None


class Kept:
    """In a folder that only this user may read; without one, in memory alone."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._memory: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Its hash, by which it is found again. Raises OSError."""
        digest = hash_of(content)
        self._write(digest, content)
        return digest

    def get(self, digest: str) -> bytes | None:
        """What has that hash, or begins with it; None where it is not (any more) here, or was damaged."""
        content = self._read(digest)
        return content if content is not None and hash_of(content).startswith(digest) else None

    def note(self, about: str, known: Mapping[str, str]) -> None:
        """Remember a few words about something. Raises OSError."""
        self._write(f"note-{hash_of(about.encode())}", json.dumps(dict(known)).encode())

    def noted(self, about: str) -> dict[str, str]:
        """What was remembered; empty where nothing was."""
        try:
            found: Any = json.loads(self._read(f"note-{hash_of(about.encode())}") or b"{}")
        except ValueError:
            return {}
        return cast("dict[str, str]", found) if isinstance(found, dict) else {}

    def _write(self, name: str, content: bytes) -> None:
        if self._folder is None:
            self._memory[name] = content
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole, part = self._folder / name, self._folder / f".{name}.{os.getpid()}"
        if whole.exists() and not name.startswith("note-"):
            return
        part.touch(mode=0o600)
        part.write_bytes(content)
        part.replace(whole)

    def _read(self, name: str) -> bytes | None:
        if self._folder is None:
            return self._memory.get(name)
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None


def hash_of(content: bytes) -> str:
    """Short enough to read out, and long enough that no two are the same: the first 32 digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:32]
