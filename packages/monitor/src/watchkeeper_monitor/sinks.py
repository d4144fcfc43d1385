"""Where lines of the log go. Each is opened and written by one thread of its own: it may block, and it may fail."""

import contextlib
import logging
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from watchkeeper_monitor.lines import Line

ATOMIC = 4096
"""Bytes that a pipe takes at once, so that lines of several processes do not mix (PIPE_BUF of Linux)."""
MEBIBYTE = 1 << 20


class NotWritten(Exception):
    """Some lines were not written; `written` were."""

    def __init__(self, written: int, why: str) -> None:
        super().__init__(why)
        self.written = written


class Writer(Protocol):
    """An open sink."""

    def write(self, lines: Sequence[Line]) -> None:
        """May block. Raises NotWritten, or anything else where none was written."""
        ...

    def close(self) -> None: ...


class Sink(Protocol):
    """Where lines go, as a value: a forked or spawned process opens it again."""

    @property
    def name(self) -> str:
        """What its figures are told under."""
        ...

    def opened(self) -> Writer: ...


@dataclass(frozen=True, slots=True)
class Stdout:
    """Lines of JSON to standard output (or, with `error`, standard error): what containers are read from."""

    error: bool = False

    @property
    def name(self) -> str:
        return "stderr" if self.error else "stdout"

    def opened(self) -> Writer:
        stream: Any = sys.stderr if self.error else sys.stdout
        try:
            return _Descriptor(stream.fileno())
        except (AttributeError, OSError, ValueError):  # replaced by something that is no file
            return _Stream(self.error)


class _Descriptor:
    """Past the stream's own buffer: a thread that dies in it at the interpreter's end would take that down."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, lines: Sequence[Line]) -> None:
        written = 0
        for number, block in _blocks(lines):
            try:
                _all_of(self._descriptor, block)
            except OSError as problem:
                raise NotWritten(written, f"{problem.strerror or problem}") from None
            written += number

    def close(self) -> None:
        pass


class _Stream:
    def __init__(self, error: bool) -> None:
        self._error = error

    def write(self, lines: Sequence[Line]) -> None:
        stream = sys.stderr if self._error else sys.stdout
        stream.write("".join(f"{line.text()}\n" for line in lines))
        stream.flush()

    def close(self) -> None:
        pass


def _blocks(lines: Sequence[Line]) -> list[tuple[int, bytes]]:
    """Whole lines of at most `ATOMIC` bytes together, or one longer line; how many, and the bytes."""
    made: list[tuple[int, bytes]] = []
    number, block = 0, b""
    for line in lines:
        text = line.text().encode() + b"\n"
        if number and len(block) + len(text) > ATOMIC:
            made.append((number, block))
            number, block = 0, b""
        number, block = number + 1, block + text
    return [*made, (number, block)] if number else made


def _all_of(descriptor: int, block: bytes) -> None:
    while block:
        try:
            block = block[os.write(descriptor, block) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


@dataclass(frozen=True, slots=True)
class RotatingFile:
    """Lines of JSON to a file; past `most_bytes` it becomes `PATH.1`, that `PATH.2`, up to `keep` old ones.

    `{pid}` in the path is the number of the process: several workers then write a file each. Moved away by somebody
    else (logrotate), it is made anew.
    """

    path: str | Path
    most_bytes: int = 64 * MEBIBYTE
    keep: int = 5

    @property
    def name(self) -> str:
        return f"file {self.path}"

    def opened(self) -> Writer:
        return _File(Path(str(self.path).replace("{pid}", str(os.getpid()))), self.most_bytes, self.keep)


class _File:
    def __init__(self, path: Path, most: int, keep: int) -> None:
        self._path = path
        self._most = most
        self._keep = keep
        self._torn = False
        self._descriptor = self._open()

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o640)

    def write(self, lines: Sequence[Line]) -> None:
        self._follow()
        for written, line in enumerate(lines):
            try:
                self._write(line.text().encode() + b"\n")
            except OSError as problem:
                raise NotWritten(written, problem.strerror or str(problem)) from None

    def _write(self, block: bytes) -> None:
        now = os.fstat(self._descriptor)
        if now.st_size and now.st_size + len(block) > self._most and os.path.isfile(self._path):
            self._rotate()
        if self._torn:  # half a line stands there from when the disk was full: the next one is not to be lost with it
            block = b"\n" + block
        left = block
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        finally:
            self._torn = 0 < len(left) < len(block) or (self._torn and len(left) == len(block))

    def _follow(self) -> None:
        ours = os.fstat(self._descriptor)
        try:
            there = os.stat(self._path)
            same = (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
        except FileNotFoundError:
            same = False
        if not same:
            self._again()

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            old = f"{self._path}.{number - 1}" if number > 1 else str(self._path)
            with contextlib.suppress(FileNotFoundError):
                os.replace(old, f"{self._path}.{number}")
        if not self._keep:
            os.unlink(self._path)
        self._again()

    def _again(self) -> None:
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor, self._torn = descriptor, False

    def close(self) -> None:
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class StandardLogging:
    """Through the standard `logging`: handlers of this logger, or above it, get a record for each line.

    Its message is the line of JSON; its `fields` attribute holds the fields, for a formatter of yours.
    """

    logger: str = "watchkeeper.predictions"

    @property
    def name(self) -> str:
        return f"logging {self.logger}"

    def opened(self) -> Writer:
        return _Logger(logging.getLogger(self.logger))


class _Logger:
    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def write(self, lines: Sequence[Line]) -> None:
        for line in lines:
            level = logging.ERROR if line.kind == "error" else logging.INFO
            if not self._logger.isEnabledFor(level):
                continue
            record = self._logger.makeRecord(self._logger.name, level, "", 0, "%s", (line.text(),), None)
            record.created = line.at
            record.msecs = line.at * 1000 % 1000
            record.fields = line.fields()
            self._logger.handle(record)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Structlog:
    """Through structlog, as it is configured: an event `prediction` or `error` with the fields of the line."""

    logger: str = "watchkeeper.predictions"

    @property
    def name(self) -> str:
        return f"structlog {self.logger}"

    def opened(self) -> Writer:
        return _Structlog(import_module("structlog").get_logger(self.logger))


class _Structlog:
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def write(self, lines: Sequence[Line]) -> None:
        for line in lines:
            fields = {name: value for name, value in line.fields().items() if name not in ("event", "level", "time")}
            say = self._logger.error if line.kind == "error" else self._logger.info
            say(line.kind, predicted_at=line.fields()["time"], **fields)

    def close(self) -> None:
        pass
