"""Sends what a monitor has counted to a server, every few seconds, from a thread of its own."""

import json
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper_monitor.capture import Capture, Texts, encoded
from watchkeeper_monitor.living import LOADING
from watchkeeper_monitor.sending import SECONDS, Answer, checked, send
from watchkeeper_monitor.spool import Item, Spool, default_folder, folder_of

if TYPE_CHECKING:
    from watchkeeper_monitor.monitor import Monitor
    from watchkeeper_monitor.profile import Profile

log = logging.getLogger("watchkeeper_monitor")
LONGEST_WAIT = 60.0
"""Seconds between two attempts while the server is away."""
EXIT_SECONDS = 2.0
"""What the interpreter's end may wait for."""
QUIET = 30.0
"""Seconds after which a process of which nothing came says that it is there."""
SKEW = 10.0
"""Seconds by which clocks may disagree without being told of."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where to push, how often, and what may wait."""

    server: str
    token: str | None
    every: float
    """Seconds."""
    spool: Path
    spool_bytes: int
    root: Path | None = None
    records: float = 0.0
    texts: Texts = False

    def said(self) -> dict[str, Any]:
        """As `Monitor` takes it."""
        return {
            "server": self.server,
            "token": self.token or "",
            "push_seconds": self.every,
            "spool": self.root,
            "spool_bytes": self.spool_bytes,
            "records": self.records,
            "texts": self.texts,
        }


@dataclass(slots=True)
class Pushed:
    """How pushing goes, in this process."""

    taken: int = 0
    """Pushes that the server took."""
    refused: int = 0
    """Pushes that the server will never take: from a newer version, or wrong."""
    lost: int = 0
    """Pushes that were let go because too much waited."""
    lost_predictions: int = 0
    waiting: int = 0
    """Pushes that wait, on disk while the server is away."""
    waiting_bytes: int = 0
    skew_seconds: float = 0.0
    """How far this clock is ahead of the server's."""
    problem: str = ""
    """Why the last one was not taken; empty where it was."""


def where(
    name: str,
    server: str | None,
    token: str | None,
    every: float,
    spool: Any,
    most: int,
    records: float = 0.0,
    texts: Texts = False,
) -> Where:
    """As said, else as WATCHKEEPER_URL and WATCHKEEPER_TOKEN say. Raises ValueError."""
    server = server or os.environ.get("WATCHKEEPER_URL", "")
    if not 0.05 <= every <= 3600:
        raise ValueError(f"push_seconds lies between 0.05 and 3600, not {every}")
    if not 0 <= records <= 1:
        raise ValueError(f"records is a share, 0 to 1, not {records}")
    if most < 0:
        raise ValueError(f"spool_bytes is at least 0, not {most}")
    server = checked(server, name)
    token = token if token is not None else os.environ.get("WATCHKEEPER_TOKEN", "").strip() or None
    root = default_folder() if spool is None else Path(spool)
    folder = folder_of(root, name, server)
    return Where(server, token or None, every, folder, most, root=root, records=records, texts=texts)


class Pusher:
    """Begins with the first thing counted, and anew in each forked child, under an id of its own."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.process = os.urandom(16).hex()
        self._sequence = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._spool = Spool(where.spool, self.process, where.spool_bytes)
        self._told = Pushed()
        self._failures = 0
        self._warned: set[str] = set()
        self._last = 0.0
        self._adopted = 0.0

    def start(self, monitor: "Monitor") -> None:
        """Raises nothing: at the interpreter's end no thread starts any more, and `close` pushes."""
        if self._thread is not None or self._ended.is_set():
            return
        self._last = time.monotonic()
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(monitor), self), name=f"watchkeeper-push-{monitor.name}", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None

    def capture(self, version: str) -> Capture:
        """What collects records and labels for this process."""
        return Capture(self.process, version, self.where.records, self.where.texts)

    def anew(self) -> "Pusher":
        """For a forked child: what waits here is its parent's."""
        self._spool.forget()
        return Pusher(self.where)

    @property
    def told(self) -> Pushed:
        with self._lock:
            said, lost = self._told, self._spool.lost
            said.lost, said.lost_predictions = lost.pushes, lost.rows
            said.waiting, said.waiting_bytes = len(self._spool.items), self._spool.size
            return said

    # Its thread ------------------------------------------------------------------------------------------------------

    def pause(self) -> float:
        """Seconds until the next attempt: longer the longer the server is away."""
        return min(max(LONGEST_WAIT, self.where.every), self.where.every * 2 ** min(self._failures, 12))

    def wait(self) -> bool:
        """Until it is time; whether to go on."""
        return not self._ended.wait(self.pause())

    def push(self, monitor: "Monitor", until: float | None = None) -> None:
        """Cut what was counted, and send all that waits, in order. `until`: by the monotonic clock."""
        monitor.flush()
        with self._lock:
            self._take(monitor)
            self._take_rows(monitor)
            if time.monotonic() - self._adopted > LONGEST_WAIT and until is None:
                self._adopted = time.monotonic()
                self._spool.adopt()
        self._send_all(monitor, until)

    def _take(self, monitor: "Monitor") -> None:
        profile = monitor.cut()
        if profile is None:
            return
        since, now = self._last, time.monotonic()
        if not counted(profile) and now - since < QUIET:
            return
        self._last = now
        try:
            body = json.dumps(self._content(monitor, profile, now - since), allow_nan=False).encode()
        except ValueError:  # sums that overflowed: as JSON they are nothing
            self._spool.lost.pushes += 1
            self._spool.lost.rows += profile.predictions
            return
        self._add("profiles", "json", profile.predictions, body)

    def _take_rows(self, monitor: "Monitor") -> None:
        for kind, rows in monitor.captured():
            form, body = encoded(rows)
            self._add(kind, form, len(rows) if kind == "records" else 0, body)

    def _add(self, kind: str, form: str, rows: int, body: bytes) -> None:
        self._sequence += 1
        self._spool.add(Item(self.process, self._sequence, kind, form, rows, body, len(body)))

    def _content(self, monitor: "Monitor", profile: "Profile", seconds: float) -> dict[str, Any]:
        with LOADING:
            from watchkeeper_monitor.summary import memory_bytes

        up = max(1e-6, time.time() - monitor.began)
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "began": monitor.began,
            "every": self.where.every,
            "seconds": seconds,
            "cpu_ratio": max(0.0, (time.process_time() - monitor.cpu_began) / up),
            "memory_bytes": memory_bytes(),
            "dropped": monitor.dropped,
            "waiting": monitor.waiting_labels,
            "lost": {"pushes": self._spool.lost.pushes, "rows": self._spool.lost.rows},
            "refused": self._told.refused,
            "profile": profile.to_dict(),
        }

    def _send_all(self, monitor: "Monitor", until: float | None) -> None:
        while True:
            with self._lock:
                item = self._spool.items[0] if self._spool.items else None
            left = SECONDS if until is None else min(SECONDS, until - time.monotonic())
            if item is None or left <= 0:
                break
            answer = send(self.where.server, self.where.token, monitor.name, item, left)
            with self._lock:
                self._answered(item, answer)
            if answer.outcome == "away" or (self._ended.is_set() and until is None):
                break
        with self._lock:
            if self._failures or until is not None:
                self._spool.keep()

    def _answered(self, item: Item, answer: Answer) -> None:
        if answer.outcome == "away":
            if not self._failures:
                log.warning("%s takes no pushes (%s); they wait", self.where.server, answer.said)
            self._failures += 1
            self._told.problem = answer.said
            return
        if self._failures:
            log.info("%s takes pushes again", self.where.server)
        self._failures = 0
        self._told.problem = answer.said
        self._spool.done(item)
        if answer.outcome == "refused":
            self._told.refused += 1
            if answer.said not in self._warned and len(self._warned) < 20:
                self._warned.add(answer.said)
                log.warning("%s refused %s: %s", self.where.server, item.kind, answer.said)
            return
        self._told.taken += 1
        skew = answer.content.get("skew_seconds", 0.0)
        if isinstance(skew, int | float):
            if abs(skew) > SKEW >= abs(self._told.skew_seconds):
                log.warning("this clock and that of %s differ by %.0f s", self.where.server, skew)
            self._told.skew_seconds = float(skew)

    # The end ---------------------------------------------------------------------------------------------------------

    def close(self, monitor: "Monitor") -> None:
        """Send what waits, within `EXIT_SECONDS`; what cannot be sent is left on disk for the next process."""
        if self._ended.is_set():
            return
        until = time.monotonic() + EXIT_SECONDS
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join(max(0.0, until - time.monotonic()))
        with _within(self._lock, max(0.1, until - time.monotonic())) as got:
            if not got:
                return
        if self._thread is None or not self._thread.is_alive():
            self.push(monitor, max(until, time.monotonic() + 0.2))
        with self._lock:
            self._take(monitor)
            self._take_rows(monitor)
            self._spool.keep()
            self._spool.close()


def counted(profile: "Profile") -> bool:
    """Whether there is anything in it."""
    return bool(profile.predictions or profile.rejects.total or profile.ended > 0)


@contextmanager
def _within(lock: threading.Lock, seconds: float) -> Generator[bool]:
    got = lock.acquire(timeout=seconds)
    try:
        yield got
    finally:
        if got:
            lock.release()


def _run(of: "weakref.ref[Monitor]", pusher: Pusher) -> None:
    """The thread of one pusher: ends with its monitor."""
    while pusher.wait():
        monitor = of()
        if monitor is None:
            return
        try:
            pusher.push(monitor)
        except Exception:  # a bug of ours must not end the thread, nor fill a log
            log.debug("a push failed", exc_info=True)
        del monitor
