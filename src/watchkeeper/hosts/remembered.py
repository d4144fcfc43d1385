"""How plain processes were started, kept over a restart of Watchkeeper itself.

In one file for each machine, readable by its user alone, as the token is: it holds command lines and environments, and
with them secrets. It goes nowhere else. What it says is carried out, so one that somebody else could have written is
not read; and it is about one machine since one start: after the next, or in another container, it says nothing.
"""

import base64
import contextlib
import json
import os
import stat
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import structlog

from watchkeeper.domain import StopCause
from watchkeeper.hosts.proc import Process, Survey
from watchkeeper.hosts.recipe import Recipe

log = structlog.get_logger(__name__)
_T = TypeVar("_T")
LARGEST = 16 << 20
"""Bytes of one file. A process takes about 5 kB; what does not fit is named in the log and not remembered."""
_VERSION = 1
_ABOUT = "How plain processes were started, so that Watchkeeper can start them again. It holds secrets: never share it."
_PROCESS: Mapping[str, type] = {"pid": int, "ppid": int, "comm": str, "start": int, "uid": int, "cgroup": str}
_RECIPE = ("program", "directory", "stdout", "stderr", "uid", "gid", "groups", "umask", "files", "cgroups")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of one plain process."""

    name: str
    ports: Mapping[int, Sequence[str]]
    """Ports it listens on → the addresses."""
    process: Process = field(repr=False)
    recipe: Recipe | None = field(default=None, repr=False)
    """None where it could not be read."""
    told: tuple[tuple[str, ...], bytes] | None = field(default=None, repr=False)
    """Arguments and standard input it is started with, where it told them itself."""
    log: str = ""
    finished: datetime | None = None
    """When it was found to have ended; None while it runs."""
    end: tuple[StopCause, int | None] = ("unknown", None)


class Memory:
    """The file of one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._failed = ""

    def read(self, survey: Survey) -> list[Remembered]:
        """What was kept, if it is about the machine as it was surveyed. Never raises: what is wrong with it is logged,
        without a word of its content."""
        try:
            content = self._content()
            told = _told(content) if content is not None else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else str(problem) if type(problem) is _Unfit else ""
            log.warning(
                "how plain processes were started is not known any more: the file that kept it is not used",
                file=str(self.path),
                problem=why or "it does not hold what was written there",
                next="what runs now is learnt anew; what ended meanwhile has to be started by hand",
            )
            return []
        if told is None:
            return []
        identity, known = told
        if identity != _identity(survey):
            log.info("plain processes of before the machine started anew are forgotten", processes=len(known))
            return []
        return known

    def write(self, survey: Survey, known: Sequence[Remembered]) -> None:
        """Replace it as a whole. Never raises: that it could not be written is logged, once for each reason."""
        head = {"about": _ABOUT, "version": _VERSION, "machine": _identity(survey)}
        rows, left, over = list[str](), LARGEST - 1000, list[str]()
        for one in sorted(known, key=lambda one: one.name):
            row = json.dumps(_row(one))
            left -= len(row) + 2
            rows.append(row) if left > 0 else over.append(one.name)
        whole = json.dumps(head)[:-1] + ', "processes": [\n' + ",\n".join(rows) + "\n]}\n"
        problem = f"no room for {', '.join(over)[:300]}" if over else ""
        with self._writing:
            try:
                self._replace(whole.encode())
            except OSError as failed:
                problem = failed.strerror or str(failed)
            if problem and problem != self._failed:
                log.warning(
                    "how plain processes were started cannot be kept over a restart",
                    file=str(self.path),
                    problem=problem,
                )
            self._failed = problem

    def _replace(self, content: bytes) -> None:
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        opened, part = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=folder)  # of mode 0600
        try:
            with os.fdopen(opened, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(part).unlink()
            raise

    def _content(self) -> bytes | None:
        """None where there is none. Raises OSError, ValueError."""
        try:
            opened = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(opened, "rb") as file:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                raise _Unfit("it is not a regular file")
            if found.st_uid != os.geteuid():
                raise _Unfit("it belongs to another user")
            if found.st_mode & 0o077:
                raise _Unfit(f"others may read or write it (mode {stat.S_IMODE(found.st_mode):04o})")
            if found.st_size > LARGEST:
                raise _Unfit(f"it is larger than {LARGEST:,} bytes")
            return file.read(LARGEST + 1)


class _Unfit(ValueError):
    """A reason that says nothing of the content."""


def _identity(survey: Survey) -> str:
    """The machine since it was started, and whose processes are seen there: a container sees its own."""
    return f"{survey.boot} {survey.pid_namespace}"


def _row(one: Remembered) -> dict[str, Any]:
    process = {name: getattr(one.process, name) for name in _PROCESS} | {"argv": one.process.argv}
    told = {"arguments": one.told[0], "content": base64.b64encode(one.told[1]).decode()} if one.told else None
    ended = {"at": one.finished.isoformat(), "cause": one.end[0], "code": one.end[1]} if one.finished else None
    return {
        "name": one.name,
        "ports": {str(port): sorted(addresses) for port, addresses in one.ports.items()},
        "process": process,
        "recipe": asdict(one.recipe) if one.recipe else None,
        "told": told,
        "log": one.log,
        "ended": ended,
    }


def _told(content: bytes) -> tuple[str, list[Remembered]]:
    """The machine's identity, and its processes. Raises ValueError, TypeError, KeyError, AttributeError."""
    whole: Any = json.loads(content)
    if not isinstance(whole, dict) or cast("dict[str, Any]", whole).get("version") != _VERSION:
        raise _Unfit("it is of another version, or not ours")
    said = cast("dict[str, Any]", whole)
    return _is(said["machine"], str), [_remembered(row) for row in said["processes"]]


def _remembered(row: Any) -> Remembered:
    told, ended, recipe, process = row["told"], row["ended"], row["recipe"], row["process"]
    known: dict[str, Any] = {name: _is(process[name], kind) for name, kind in _PROCESS.items()}
    finished, end = None, ("unknown", None)
    if ended is not None:
        finished = datetime.fromisoformat(ended["at"])
        if ended["cause"] not in get_args(StopCause) or finished.tzinfo is None:
            raise ValueError
        end = (ended["cause"], None if ended["code"] is None else _is(ended["code"], int))
    return Remembered(
        name=_is(row["name"], str),
        ports={int(port): _strings(addresses) for port, addresses in row["ports"].items()},
        process=Process(**known, state="S", cpu=0, rss=0, argv=_strings(process["argv"])),
        recipe=None if recipe is None else _recipe(recipe),
        told=(_strings(told["arguments"]), base64.b64decode(told["content"], validate=True)) if told else None,
        log=_is(row["log"], str),
        finished=finished,
        end=cast("tuple[StopCause, int | None]", end),
    )


def _recipe(said: Any) -> Recipe:
    environment = {_is(name, str): _is(value, str) for name, value in said["environment"].items()}
    return Recipe(*(_is(said[name], str) for name in _RECIPE), environment=environment)


def _is(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError
    return value


def _strings(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(_is(value, str) for value in cast("list[Any]", values))
