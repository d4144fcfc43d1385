"""A log of single predictions and of all errors, written off the path of the request.

Each sink has a bounded queue and a thread of its own: one that is slow, stuck or full slows no prediction and no other
sink. What finds no room is dropped and counted.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from watchkeeper_monitor.capture import Texts
from watchkeeper_monitor.context import CURRENT, ids
from watchkeeper_monitor.lines import Line, Source, of_error, of_row
from watchkeeper_monitor.sinks import NotWritten, Sink, Stdout, Writer

if TYPE_CHECKING:
    from watchkeeper_monitor.folding import Row

log = logging.getLogger("watchkeeper_monitor")
AT_ONCE = 256
"""Lines written at once, and how many may wait before the thread is woken."""
EVERY = 0.5
"""Seconds after which what waits is written, however little it is."""
EXIT_SECONDS = 1.0
"""What the interpreter's end waits for sinks."""
_SPREAD = 2654435761
"""Knuth's multiplier (TAOCP 3, 6.4): handles that follow each other fall anywhere in 0..2**32."""


@dataclass(frozen=True, slots=True)
class LogFigures:
    """How one sink of the log goes, in this process."""

    sink: str
    written: int
    dropped: int
    """Lines that it lost: it was too slow, or failed."""
    waiting: int
    problem: str
    """Why the last lines were not written; empty where they were."""


class Log:
    """What is logged, and where to: `Monitor(…, log=Log(Stdout(), RotatingFile("bot.log"), share=0.1))`.

    `sinks`: standard output where none is named. `share`: of the predictions, 0 to 1; errors are logged always.
    `texts`: False, the input itself is not logged; True, it is, without addresses of mail, account numbers and longer
    numbers; a function redacts it its own way. `waiting`: lines that wait for each sink, at most.
    """

    def __init__(self, *sinks: Sink, share: float = 0.1, texts: Texts = False, waiting: int = 10_000) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share is one of predictions, 0 to 1, not {share}")
        if waiting < 1:
            raise ValueError(f"waiting counts lines: at least 1, not {waiting}")
        self.sinks: tuple[Sink, ...] = sinks or (Stdout(),)
        self.share = share
        self.texts = texts
        self.waiting = waiting

    def begun(self, model: str, version: str) -> "Logging":
        """Its queues for one monitor in one process."""
        return Logging(self, model, version)


class Logging:
    """Takes rows and errors. Any thread, task or signal handler may call it; it raises nothing."""

    def __init__(self, log: Log, model: str, version: str) -> None:
        self._most = round(log.share * 2**32)
        names = [sink.name for sink in log.sinks]
        self._outlets = [
            _Outlet(sink, log.waiting, name if before == 0 else f"{name} {before + 1}")
            for sink, name, before in zip(log.sinks, names, _before(names), strict=True)
        ]
        outlets = self._outlets

        def put(line: Line) -> None:
            for outlet in outlets:
                outlet.put(line)

        self._source = Source(model, version, log.texts, put)

    def appending(self, append: "Callable[[Row], None]") -> "Callable[[Row], None]":
        """What takes a row besides: where it is counted, and here where it is sampled."""
        most, predicted = self._most, self._predicted

        def logged(row: "Row") -> None:
            append(row)
            if (row[0] * _SPREAD) & 0xFFFFFFFF < most:
                predicted(row)

        return logged

    def _predicted(self, row: "Row") -> None:
        request = CURRENT.get()
        line = of_row(self._source, time.time(), ids(request), row)
        if request is None or row[3] is not None or not request.take(line):
            self._source.put(line)

    def rows(self, handles: range, rows: "Iterable[Row]") -> None:
        """Of a batch."""
        at, said, most = time.time(), ids(CURRENT.get()), self._most
        for handle, row in zip(handles, rows, strict=True):
            if (handle * _SPREAD) & 0xFFFFFFFF < most:
                self._source.put(of_row(self._source, at, said, row))

    def error(self, problem: BaseException | str) -> None:
        self._source.put(of_error(self._source, time.time(), ids(CURRENT.get()), problem))

    def figures(self) -> list[LogFigures]:
        return [outlet.figures() for outlet in self._outlets]

    def flush(self, seconds: float = EXIT_SECONDS) -> bool:
        """Wait until all that waits now is written or dropped; whether it was."""
        until = time.monotonic() + seconds
        return False not in [outlet.flush(until) for outlet in self._outlets]

    def close(self, seconds: float = EXIT_SECONDS) -> None:
        """Write what waits, in the time there is; what a sink did not take by then is dropped and counted."""
        until = time.monotonic() + seconds
        for outlet in self._outlets:
            outlet.end()
        for outlet in self._outlets:
            outlet.join(until)

    def __del__(self) -> None:
        for outlet in self._outlets:
            outlet.end()


class _Outlet:
    """One sink, its queue and its thread."""

    def __init__(self, sink: Sink, most: int, name: str) -> None:
        self._sink = sink
        self._name = name
        self._most = most
        self._queue: deque[Line] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._ended = False
        self._refused = count()
        """Ticks for each line that found no room: unlike `+= 1`, from many threads at once."""
        self._written = self._lost = self._hand = 0
        self._problem = ""

    def put(self, line: Line) -> None:
        waiting = len(self._queue)
        error = line.kind == "error"
        # A flood of predictions leaves room for errors.
        room = self._most + max(16, self._most // 4) if error else self._most
        if waiting >= room or self._ended:
            next(self._refused)
            return
        self._queue.append(line)
        if self._thread is None:
            self._start()
        if error or not (waiting + 1) % AT_ONCE:
            self._wake.put(True)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"watchkeeper-log-{self._name}", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:  # at the interpreter's end no thread starts any more
            pass
        finally:
            self._starting.release()

    def figures(self) -> LogFigures:
        refused: int = next(copy(self._refused))
        waiting = len(self._queue) + self._hand
        problem = self._problem or (f"too slow: {self._most:,} lines waited" if refused and waiting else "")
        return LogFigures(self._name, self._written, self._lost + refused, waiting, problem)

    def flush(self, until: float) -> bool:
        while (self._queue or self._hand) and self._thread is not None and time.monotonic() < until:
            self._wake.put(True)
            time.sleep(0.005)
        return not self._queue and not self._hand

    def end(self) -> None:
        self._ended = True
        self._wake.put(True)

    def join(self, until: float) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))
        if thread is not None and thread.is_alive():
            self._lost += len(self._queue)
            self._queue.clear()

    # Its thread ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        writer: Writer | None = None
        while True:
            if not self._queue:
                if self._ended:
                    break
                with contextlib.suppress(Empty):
                    self._wake.get(timeout=EVERY)
                continue
            batch: list[Line] = []
            with contextlib.suppress(IndexError):
                while len(batch) < AT_ONCE:
                    batch.append(self._queue.popleft())
            self._hand = len(batch)
            writer = self._write(writer, batch)
            self._hand = 0
        if writer is not None:
            with contextlib.suppress(Exception):
                writer.close()

    def _write(self, writer: Writer | None, batch: list[Line]) -> Writer | None:
        try:
            writer = writer or self._sink.opened()
            writer.write(batch)
        except NotWritten as problem:
            self._failed(problem.written, len(batch), str(problem))
        except Exception as problem:  # a handler of the user's, a network: the thread goes on
            self._failed(0, len(batch), f"{type(problem).__name__}: {problem}")
        else:
            self._written += len(batch)
            self._problem = ""
        return writer

    def _failed(self, written: int, of: int, why: str) -> None:
        first = not self._problem
        self._written += written
        self._lost += of - written
        self._problem = why[:200]
        if first:
            log.warning("the log to %s loses lines: %s", self._name, self._problem)


def _before(names: list[str]) -> list[int]:
    """How often each was there before: two sinks of one name are told apart."""
    return [names[:place].count(name) for place, name in enumerate(names)]
