"""Programs that a fault or a control leaves running: kept by name and process, ended by `reset`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.proc import Pid

BESIDE = "beside"
"""The folder of those that belong to a lab as long as it is up; `reset` leaves them alone."""
PATIENCE = 20.0
"""Seconds that a program may take to say that it is at it."""


@dataclass(frozen=True, slots=True)
class Running:
    """One of them: its process, and where its log is."""

    name: str
    process: Pid
    log: str


class Background:
    """The background programs of one lab, kept in a folder of it (`place`). Any later command can end them."""

    def __init__(self, instance: Instance, place: str = "background") -> None:
        self._folder = instance.folder / place
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def start(self, name: str, module: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
        """Run `python -m MODULE WORDS` in a session of its own, and return once it prints the line `ready`.

        `name` is what it is called later, in `survives` for instance. Secrets go into `environment`, never into words.
        Raises `LabError` with its last line where it ends before, or takes longer than `PATIENCE` seconds.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}-{time.monotonic_ns()}.log"
        with log.open("wb") as sink:
            child = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-u", "-m", module, *words],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._children[child.pid] = child
        process = Pid.of(child.pid)
        if process is not None:
            self._remember([*self._known(), Running(name, process, str(log))])
        deadline = time.monotonic() + PATIENCE
        while "ready" not in (lines := _lines(log)):
            if child.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"{name} could not begin: {lines[-1] if lines else 'it said nothing'}", f"See {log}.")
            await asyncio.sleep(0.05)

    def faltered(self, names: Iterable[str]) -> list[str]:
        """Those of these that neither run nor came to their end in order (their last line is `done`), and why."""
        known = {one.name: one for one in self._known()}
        reasons: list[str] = []
        for name in names:
            one = known.get(name)
            lines = _lines(Path(one.log)) if one else []
            if one is None or not (one.process.alive or lines[-1:] == ["done"]):
                reasons.append(f"{name} did not survive: {lines[-1] if lines else 'it was never started'}")
        return reasons

    def said(self, name: str) -> list[str]:
        """The lines of the one of that name so far; none where it was never started."""
        return next((_lines(Path(one.log)) for one in self._known() if one.name == name), list[str]())

    async def end(self) -> None:
        """End all of them, and forget what they said. Idempotent."""
        found = self._known()
        for number, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
            deadline = time.monotonic() + seconds
            for one in found:
                one.process.send(number)
            while time.monotonic() < deadline:
                if not any(one.process.alive for one in found):
                    break
                await asyncio.sleep(0.02)
        self._reap()
        self._forget(found)

    def _reap(self) -> None:
        """Clear the remains of our own children away, which have ended."""
        for pid, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[pid]

    @property
    def _list(self) -> Path:
        return self._folder / "running.json"

    def _known(self) -> list[Running]:
        if not self._list.exists():
            return []
        return [Running(one["name"], Pid(**one["process"]), one["log"]) for one in json.loads(self._list.read_text())]

    def _forget(self, found: Iterable[Running]) -> None:
        for one in found:
            Path(one.log).unlink(missing_ok=True)
        self._list.unlink(missing_ok=True)

    def _remember(self, running: list[Running]) -> None:
        self._list.write_text(json.dumps([asdict(one) for one in running]))


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
