"""The object in a model server: takes what it is told in well under a microsecond, and counts it elsewhere."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from watchkeeper_monitor.living import ALIVE, closed_at_the_end, run
from watchkeeper_monitor.recent import FIRST_OF_BATCHES
from watchkeeper_monitor.wrapping import Timed, Tracked

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_monitor.folding import Extra, Folding, Row
    from watchkeeper_monitor.profile import Profile
    from watchkeeper_monitor.pushing import Pushed, Pusher, Where
    from watchkeeper_monitor.reference import Drift, Reference
    from watchkeeper_monitor.summary import Summary

CHUNK = 1024
"""Rows folded at once: about a third of a millisecond, during which nobody else has the interpreter."""
CROWDED = 16 * CHUNK
"""Rows that wait, from which on whoever tracks folds a chunk: a loop without rest cannot outrun the folding."""
MOST_WAITING = 256 * CHUNK
"""Rows that may wait at all; more are dropped and counted."""
LONGEST_TEXT = 10_000
"""Characters of a text that are looked at."""


class Monitor:
    """Counts the predictions of one version of a model.

    `classes`: the classes there are; others are rejected and counted. `vocabulary`: words the model knows, for the
    share of words it does not. `window`: labelled predictions in rolling figures. `drift_window`: predictions that
    `drift` compares with a reference, at least. `remember`: predictions that can still be labelled, 34 bytes each.

    `server`: the URL of a Watchkeeper server that what is counted is pushed to every `push_seconds` (else what
    WATCHKEEPER_URL says; "" for none), with a `token` of the role `sender` (else WATCHKEEPER_TOKEN). What cannot be
    sent waits in the folder `spool` (else WATCHKEEPER_SPOOL), in at most `spool_bytes`. `records`: the share of
    predictions that are sent one by one, too, so that labels can be joined there; with `texts` also their texts,
    redacted, or as a function of yours gives them.

    Any thread, task, signal handler or forked child may call it. What it cannot count it counts as rejected; it
    never raises into the caller.

    >>> monitor = Monitor("support-bot", version="1.4.0")
    >>> p = monitor.track("card_arrival", confidence=0.92, latency_seconds=0.031)
    >>> monitor.label(p, "card_arrival")
    >>> monitor.summary().performance.accuracy.value
    1.0
    """

    def __init__(
        self,
        name: str,
        version: str = "unknown",
        *,
        classes: Iterable[str] | None = None,
        vocabulary: Iterable[str] | None = None,
        window: int = 1000,
        drift_window: int = 10_000,
        remember: int = 1 << 16,
        server: str | None = None,
        token: str | None = None,
        push_seconds: float = 5.0,
        spool: "str | Path | None" = None,
        spool_bytes: int = 64 << 20,
        records: float = 0.0,
        texts: "bool | Callable[[str], str]" = False,
    ) -> None:
        for what, number in (("window", window), ("drift_window", drift_window), ("remember", remember)):
            if number < 1:
                raise ValueError(f"{what} counts predictions: at least 1, not {number}")
        self.name = name
        self.version = version
        self.began = time.time()
        self.cpu_began = time.process_time()
        self._options: dict[str, Any] = {
            "classes": None if classes is None else [str(each) for each in classes],
            "vocabulary": None if vocabulary is None else frozenset(word.lower() for word in vocabulary),
            "window": window,
            "drift_window": drift_window,
            "remember": remember,
        }
        self._pusher: Pusher | None = None
        self._begin()
        if server or (server is None and os.environ.get("WATCHKEEPER_URL")):
            from watchkeeper_monitor import pushing

            self._pusher = pushing.Pusher(
                pushing.where(name, server, token, push_seconds, spool, spool_bytes, records, texts)
            )
        ALIVE.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """In a spawned process: the same, and empty."""
        pushed = None if self._pusher is None else self._pusher.where
        return _again, (self.name, self.version, self._options, pushed)

    def _begin(self) -> None:
        """Empty, with locks of its own: also what a forked child starts from, for what waited is its parent's."""
        self._handles = count()
        self._rows: list[Row] = []
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

    # What the caller says --------------------------------------------------------------------------------------------

    def track(
        self,
        prediction: Any,
        confidence: float | None = None,
        latency_seconds: float | None = None,
        input_length: int | None = None,
        *,
        escalated: bool | None = None,
        cost: float | None = None,
        text: str | None = None,
        true_label: Any = None,
        segment: str | None = None,
        features: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> int:
        """Count one prediction: a class, or a float for a predicted number. Gives the handle for its `label`.

        `confidence` lies in 0..1. `cost` is in any one currency. `text` is looked at for its length and unknown words,
        and never kept. `id` is the caller's own, for a label that comes by id.
        """
        handle = next(self._handles)
        if (
            text is None
            and true_label is None
            and features is None
            and segment is None
            and escalated is None
            and cost is None
            and id is None
        ):
            self._append((handle, prediction, confidence, latency_seconds, input_length, None))
        else:
            if text is not None:
                input_length = len(text) if input_length is None else input_length
                text = text[:LONGEST_TEXT]
            rare: Extra = (escalated, cost, text, true_label, segment, features, id)
            self._append((handle, prediction, confidence, latency_seconds, input_length, rare))
        if not handle & (CHUNK - 1):
            self._crowd()
        return handle

    def label(self, prediction: int | str, truth: Any) -> None:
        """The truth of a prediction, by the handle that `track` gave or by the `id` it was given."""
        self._tell("label", prediction, truth)

    def error(self, problem: BaseException | str) -> None:
        """Count a prediction that failed, by the type of its exception or a name."""
        self._tell("error", problem if isinstance(problem, str) else type(problem).__name__, None)

    def satisfaction(self, score: float) -> None:
        """Count what a customer thought of it, on any one scale."""
        self._tell("satisfaction", None, score)

    def count(self, name: str, times: int = 1) -> None:
        """Count anything else of yours."""
        self._tell("counter", name, times)

    def timed(self) -> Timed:
        """`with monitor.timed(): …` counts how long it took, and an exception as an error. The exception goes on."""
        return Timed(self)

    def tracked(self, prediction: Callable[[Any], Any] | None = None, **given: Callable[[Any], Any]) -> Tracked:
        """A decorator for a function, also an `async` one, that predicts: counts what it returns, and how long it took.

        `prediction` and any argument of `track` say how to get it from what is returned; by default all of it is the
        prediction.
        """
        return Tracked(self, prediction, given)

    def latency(self, seconds: float) -> None:
        """Count a latency that was not given to `track`."""
        self._tell("latency_seconds", None, seconds)

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
        self._append = self._rows.append
        if self._pusher is not None:
            closed_at_the_end(self)
        with suppress(RuntimeError):  # at the interpreter's end no thread starts any more: whoever asks folds
            self._thread = threading.Thread(
                target=run, args=(weakref.ref(self), self._wake), name=f"watchkeeper-{self.name}", daemon=True
            )
            self._thread.start()

    def _crowd(self) -> None:
        self._wake.put(True)
        waiting = len(self._rows)
        if waiting < CROWDED:
            return
        # Never waits long: a signal handler may have interrupted whoever holds the lock.
        if self._lock.acquire(timeout=0.002) if waiting >= CROWDED * 4 else self._lock.acquire(blocking=False):
            try:
                self._fold_chunk()
            finally:
                self._lock.release()
        elif waiting >= MOST_WAITING:
            self._dropped += len(self._rows[MOST_WAITING - CHUNK :])
            del self._rows[MOST_WAITING - CHUNK :]

    def _fold_chunk(self) -> int:
        """The lock must be held. Gives how many rows were folded."""
        folding = self._state()
        rows = self._rows[:CHUNK]
        del self._rows[: len(rows)]
        if rows:
            folding.rows(rows)
        return len(rows)

    def _state(self) -> "Folding":
        if self._folding is None:
            from watchkeeper_monitor.folding import Folding  # NumPy is loaded here, not when a server starts

            if self._pusher is None:
                self._folding = Folding(self.name, self.version, **self._options)
            else:
                capture = self._pusher.capture(self.version)
                self._folding = Folding(self.name, self.version, pushed=True, capture=capture, **self._options)
                self._pusher.start(self)
        return self._folding

    def flush(self) -> None:
        """Count all that waits. Called by a thread of its own every second, and before every look at the figures."""
        with self._lock:
            told = len(self._events)  # before the rows: then the predictions that these labels are for are among them
            waiting = len(self._rows)
        while waiting > 0:
            with self._lock:
                waiting -= self._fold_chunk() or waiting
            time.sleep(0)  # who waits for the interpreter gets it now, not when its switch interval is over
        while told > 0:
            with self._lock:
                events = self._events[: min(told, CHUNK // 4)]
                del self._events[: len(events)]
                state = self._state()
                for event in events:
                    state.event(*event)
                told -= len(events) or told
            time.sleep(0)

    def track_batch(
        self,
        predictions: Any,
        *,
        confidences: Any = None,
        latencies_seconds: Any = None,
        input_lengths: Any = None,
        true_labels: Any = None,
        segments: Any = None,
        features: Any = None,
    ) -> range:
        """Count many predictions at once, in the calling thread. Gives their handles.

        Each column is a list, a NumPy array, or a column of Arrow, Polars or pandas; `features` a table of one of
        these, or a mapping of names to columns. Raises ValueError when the columns differ in length.
        """
        from watchkeeper_monitor.batch import record_batch

        return record_batch(
            self, predictions, confidences, latencies_seconds, input_lengths, true_labels, segments, features
        )

    def fold_batch(self, number: int, fold: "Callable[[Folding, range], None]") -> range:
        """Let a batch be counted, alone, under handles of its own."""
        with self._lock:
            handles = range(self._batched, self._batched + number)
            self._batched += number
            fold(self._state(), handles)
        return handles

    # Looking ---------------------------------------------------------------------------------------------------------

    def profile(self) -> "Profile":
        """All that was counted since the monitor began, as a mergeable value."""
        self.flush()
        with self._lock:
            return self._state().profile()

    def summary(self) -> "Summary":
        """All figures as of now: as data, as JSON (`to_dict`), and as a table (`str`)."""
        from watchkeeper_monitor.summary import summarize

        self.flush()
        with self._lock:
            return summarize(self, self._state())

    def drift(self, reference: "Reference") -> "Drift":
        """How far the features and classes of the latest predictions lie from the reference.

        The latest are between one and two times `drift_window`.
        """
        self.flush()
        with self._lock:
            lately = self._state().lately()
        return reference.compare_profile(lately)

    # Pushing ---------------------------------------------------------------------------------------------------------

    def push(self) -> None:
        """Send what was counted now instead of with the next turn. Without a server it does nothing."""
        if self._pusher is not None:
            self._pusher.push(self)

    @property
    def pushed(self) -> "Pushed | None":
        """How pushing goes; None without a server."""
        return None if self._pusher is None else self._pusher.told

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
            self._pusher.close(self)

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _again(name: str, version: str, options: dict[str, Any], where: "Where | None") -> Monitor:
    said: dict[str, Any] = {"server": ""} if where is None else where.said()
    return Monitor(name, version, **options, **said)
