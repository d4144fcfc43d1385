"""Who keeps the event loop from turning: seen by a thread of its own, which cuts off what blocks it for long."""

import asyncio
import itertools
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)
TICK = 0.1
BLOCKING = 0.5
"""Seconds in which one step of somebody's code lets nobody else run, from which on it is an offence."""
CUT = 2.0
"""Seconds after which such a step is cut off."""
STEP = "_driven"
"""The function that calls a step under the meter: below it is our own code."""
_FRAMES = 4
_SIGNAL = signal.SIGURG  # ignored by default, so harmless when it comes too late


class Blocked(BaseException):
    """Raised inside a step that blocked for too long. No `except Exception` of that code keeps it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"blocked for {seconds:.1f} s")
        self.seconds = seconds


class Meter:
    """Whose code the event loop runs now: set before each step and taken away after it."""

    def __init__(self) -> None:
        self.running: tuple[Any, str] | None = None
        self.number = 0

    def enter(self, mark: tuple[Any, str]) -> None:
        self.number += 1
        self.running = mark

    def leave(self) -> None:
        self.running = None


meter = Meter()


class Watchdog:
    """A thread beside the event loop. `blocked` is called in the loop, with the mark, seconds, and where it was."""

    def __init__(self, blocked: Callable[[Any, str, float, str], None]) -> None:
        self._blocked = blocked
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._schedstat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._end = threading.Event()
        self._seconds = 0.0
        self._before: Any = None
        self._cuts = threading.current_thread() is threading.main_thread()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        if self._cuts:
            self._before = signal.signal(_SIGNAL, self._cut)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        if self._cuts:
            signal.signal(_SIGNAL, self._before or signal.SIG_DFL)

    def _run(self) -> None:
        number, seen, waited, said = -1, 0.0, 0.0, False
        while not self._end.wait(TICK):
            mark, present = meter.running, meter.number
            if mark is None:
                number = -1
                continue
            if present != number:
                number, seen, waited, said = present, time.monotonic(), self._waited(), False
                continue
            # What it had to wait for a processor is not its own doing.
            self._seconds = time.monotonic() - seen - (self._waited() - waited)
            if self._seconds >= BLOCKING and not said:
                said = True
                where = self._where()
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(self._blocked, mark[0], mark[1], self._seconds, where)
            if self._seconds >= CUT and self._cuts:
                signal.pthread_kill(self._watched, _SIGNAL)

    def _cut(self, *_: Any) -> None:
        if meter.running is not None:
            raise Blocked(self._seconds)

    def _where(self) -> str:
        frame = sys._current_frames().get(self._watched)  # pyright: ignore[reportPrivateUsage]
        if frame is None:
            return ""
        frames = list(reversed(traceback.extract_stack(frame)))
        theirs = list(itertools.takewhile(lambda f: f.name != STEP, frames))[:_FRAMES]
        return ", called by ".join(f"{f.name} ({Path(f.filename).name}:{f.lineno})" for f in theirs)

    def _waited(self) -> float:
        """Seconds the watched thread has waited for a processor; 0 where the kernel does not tell."""
        try:
            return int(self._schedstat.read_text().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0
