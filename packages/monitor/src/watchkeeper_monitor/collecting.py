"""What waits to be counted, and the thread that counts it."""

import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from watchkeeper_monitor.living import LOADING, closed_at_the_end, run
from watchkeeper_monitor.recent import FIRST_OF_BATCHES

if TYPE_CHECKING:
    from watchkeeper_monitor.folding import Folding, Row
    from watchkeeper_monitor.log import Log, LogFigures, Logging
    from watchkeeper_monitor.monitor import Monitor
    from watchkeeper_monitor.profile import Profile
    from watchkeeper_monitor.pushing import Pusher

CHUNK = 2048
"""Rows folded at once: about a third of a millisecond, during which nobody else has the interpreter."""
WIDTH = 6
"""Values of a row."""
CROWDED = 2 * CHUNK
"""Rows that wait, from which on whoever tracks folds a chunk: a loop without rest cannot outrun the folding."""
MOST_WAITING = 128 * CHUNK
"""Rows that may wait at all; more are dropped and counted."""


class Collecting:
    """Rows and events that wait; a thread of its own counts them. What a `Monitor` is made on."""

    _options: dict[str, Any]
    _pusher: "Pusher | None"
    _log: "Log | None"
    _logging: "Logging | None"
    name: str
    version: str

    def _begin(self) -> None:
        """Empty, with locks of its own: also what a forked child starts from, for what waited is its parent's."""
        self._handles = count()
        # One flat list, row after row: a tuple that is not kept costs the garbage collector nothing, and columns are
        # slices.
        # To extend it by a tuple is one step: no thread and no signal comes between the values of a row.
        self._rows: list[Any] = []
        self._events: list[tuple[str, Any, Any]] = []
        self._append: Callable[[Row], None] = self._first
        self._lock = threading.Lock()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._folding: Folding | None = None
        self._dropped = 0
        self._batched = FIRST_OF_BATCHES
        if self._pusher is not None:
            self._pusher = self._pusher.anew()
        self._logging = None if self._log is None else self._log.begun(self.name, self.version)

    def _tell(self, kind: str, subject: Any, value: Any) -> None:
        if self._append == self._first:
            self._start()
        if len(self._events) < MOST_WAITING:
            self._events.append((kind, subject, value))
        else:
            self._dropped += 1
        if len(self._events) >= CHUNK:
            self._wake.put(True)  # unlike an Event, also safe in a signal handler that interrupted a put

    # Folding ---------------------------------------------------------------------------------------------------------

    def _first(self, row: "Row") -> None:
        self._start()
        self._append(row)

    def _start(self) -> None:
        append = self._rows.extend
        self._append = append if self._logging is None else self._logging.appending(append)
        if self._pusher is not None:
            closed_at_the_end(cast("Monitor", self))
        with suppress(RuntimeError):  # at the interpreter's end no thread starts any more: whoever asks folds
            self._thread = threading.Thread(
                target=run,
                args=(weakref.ref(cast("Monitor", self)), self._wake),
                name=f"watchkeeper-{self.name}",
                daemon=True,
            )
            self._thread.start()

    def _crowd(self) -> None:
        self._wake.put(True)
        if (waiting := len(self._rows) // WIDTH) < CROWDED:
            return
        # Never waits long: a signal handler may have interrupted whoever holds the lock.
        if self._lock.acquire(timeout=0.002) if waiting >= CROWDED * 4 else self._lock.acquire(blocking=False):
            try:
                self._fold_chunk()
            finally:
                self._lock.release()
        elif waiting >= MOST_WAITING:
            kept = (waiting - CHUNK) * WIDTH
            del self._rows[kept : kept + CHUNK * WIDTH]
            self._dropped += CHUNK

    def _fold_chunk(self) -> int:
        """The lock must be held. Gives how many rows were folded."""
        folding = self._state()
        values = self._rows[: CHUNK * WIDTH]
        del self._rows[: len(values)]
        if values:
            folding.rows([values[column::WIDTH] for column in range(WIDTH)])
        return len(values) // WIDTH

    def _state(self) -> "Folding":
        if self._folding is None:
            with LOADING:
                from watchkeeper_monitor.folding import Folding  # NumPy is loaded here, not when a server starts

            if self._pusher is None:
                self._folding = Folding(self.name, self.version, **self._options)
            else:
                capture = self._pusher.capture(self.version)
                self._folding = Folding(self.name, self.version, pushed=True, capture=capture, **self._options)
                self._pusher.start(cast("Monitor", self))
        return self._folding

    def flush(self) -> None:
        """Count all that waits. Called by a thread of its own every second, and before every look at the figures."""
        with self._lock:
            told = len(self._events)  # before the rows: then the predictions that these labels are for are among them
            waiting = len(self._rows) // WIDTH
        while waiting > 0:
            with self._lock:
                waiting -= self._fold_chunk() or waiting
            time.sleep(0)  # who waits for the interpreter gets it now, not when its switch interval is over
        while told > 0:
            with self._lock:
                events = self._events[: min(told, 256)]
                del self._events[: len(events)]
                state = self._state()
                for event in events:
                    state.event(*event)
                told -= len(events) or told
            time.sleep(0)

    def cut(self) -> "Profile | None":
        """What was counted since the last cut, for whoever sends it; None before anything was."""
        with self._lock:
            return None if self._folding is None else self._folding.cut()

    def captured(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Records and labels since the last time, in pieces for one push each."""
        with self._lock:
            if self._folding is None or self._folding.capture is None:
                return []
            return self._folding.capture.cut()

    @property
    def logs(self) -> "Logging | None":
        return self._logging

    @property
    def logged(self) -> "list[LogFigures]":
        """How the log goes, for each of its sinks; empty without one."""
        return [] if self._logging is None else self._logging.figures()

    @property
    def waiting_labels(self) -> int:
        """Labels by id whose prediction has not come."""
        return 0 if self._folding is None else len(self._folding.waiting)

    @property
    def dropped(self) -> int:
        """Rows, events and records that were let go because more came than could be counted, or sent."""
        capture = None if self._folding is None else self._folding.capture
        return self._dropped + (0 if capture is None else capture.dropped)

    def close(self) -> None:
        """Count what waits and end the thread. What is tracked later is still counted when it is looked at."""
        if self._thread is not None:
            self._wake.put(False)
            if self._thread is not threading.current_thread():
                self._thread.join(2)
            self._thread = None
        self.flush()
        if self._pusher is not None:
            self._pusher.close(cast("Monitor", self))
        if self._logging is not None:
            self._logging.close()
