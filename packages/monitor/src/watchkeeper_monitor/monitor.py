"""The object in a model server: takes what it is told in well under a microsecond, and counts it elsewhere."""

import os
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack, cast

from watchkeeper_monitor.collecting import CHUNK, Collecting
from watchkeeper_monitor.living import ALIVE
from watchkeeper_monitor.rare import DEPTH, Rare
from watchkeeper_monitor.rare import track as given
from watchkeeper_monitor.words import vocabulary_of
from watchkeeper_monitor.wrapping import Timed, Tracked

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_monitor.folding import Folding
    from watchkeeper_monitor.log import Log
    from watchkeeper_monitor.profile import Profile
    from watchkeeper_monitor.pushing import Pushed, Pusher, Where
    from watchkeeper_monitor.reference import Drift, Reference
    from watchkeeper_monitor.summary import Summary


class Monitor(Collecting):
    """Counts the predictions of one version of a model.

    `classes`: the classes there are; others are rejected and counted. `vocabulary`: words the model knows, for the
    share of words it does not. `window`: labelled predictions in rolling figures. `drift_window`: predictions that
    `drift` compares with a reference, at least. `remember`: predictions that can still be labelled, 34 bytes each.

    `server`: the URL of a Watchkeeper server that what is counted is pushed to every `push_seconds` (else what
    WATCHKEEPER_URL says; "" for none), with a `token` of the role `sender` (else WATCHKEEPER_TOKEN). Over HTTPS what
    the usual authorities sign is believed, and the certificates in the file WATCHKEEPER_CA (PEM). What cannot be sent
    waits in the folder `spool` (else WATCHKEEPER_SPOOL), in at most `spool_bytes`. `records`: the share of predictions
    that are sent one by one, too, so that labels can be joined there; with `texts` also their texts, redacted, or as a
    function of yours gives them. `log`: where single predictions and all errors are logged.
    `reference`: what is usual; `drift` and the summary compare with it.

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
        log: "Log | None" = None,
        reference: "Reference | None" = None,
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
            "vocabulary": None if vocabulary is None else vocabulary_of(vocabulary),
            "window": window,
            "drift_window": drift_window,
            "remember": remember,
        }
        self._pusher: Pusher | None = None
        self._log = log
        self.reference = reference
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
        return _again, (self.name, self.version, self._options, pushed, self._log, self.reference)

    # What the caller says --------------------------------------------------------------------------------------------

    def track(
        self,
        prediction: Any,
        confidence: float | None = None,
        latency_seconds: float | None = None,
        input_length: int | None = None,
        **rare: Unpack[Rare],
    ) -> int:
        """Count one prediction: a class, a float for a predicted number, or a list of items, best first, for a ranking.

        Gives the handle for its `label`.

        `confidence` lies in 0..1. Rarely given, and by name alone: `escalated`, `cost` in any one currency, `text`
        (looked at for its length and unknown words, and never kept), `true_label`, `segment`, `features` (a mapping),
        and `id`, the caller's own, for a label that comes by id.
        """
        handle = next(self._handles)
        if type(prediction) is list:
            prediction = tuple(cast("list[Any]", prediction[:DEPTH]))  # the caller may change it before it is counted
        if rare:
            input_length, extra = given(input_length, **rare)
            self._append((handle, prediction, confidence, latency_seconds, input_length, extra))
        else:
            self._append((handle, prediction, confidence, latency_seconds, input_length, None))
        if not handle & (CHUNK - 1):
            self._crowd()
        return handle

    def label(self, prediction: int | str, truth: Any) -> None:
        """The truth of a prediction, by the handle that `track` gave or by the `id` it was given.

        Of a ranking: the item that was relevant, several as a list or a set, or a mapping of items to gains.
        """
        self._tell("label", prediction, truth)

    def error(self, problem: BaseException | str) -> None:
        """Count a prediction that failed, by the type of its exception or a name."""
        if self._logging is not None:
            self._logging.error(problem)
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

    def drift(self, reference: "Reference | None" = None) -> "Drift":
        """How far the features and classes of the latest predictions lie from the reference.

        The latest are between one and two times `drift_window`. Raises ValueError where there is no reference: neither
        this one nor the monitor's own.
        """
        from watchkeeper_monitor.summary import drift_of

        usual = reference or self.reference
        if usual is None:
            raise ValueError("there is no reference: give one, or say Monitor(…, reference=…)")
        self.flush()
        with self._lock:
            return drift_of(self._state(), usual)

    def report(self, path: "str | Path | None" = None) -> str:
        """The summary as one HTML file, written to `path`, too; each column drawn over the reference's."""
        from watchkeeper_monitor.report import page, pairs

        said = self.summary()
        with self._lock:
            lately = self._state().lately()
        made = page(said, [] if self.reference is None else pairs(self.reference, lately, said.quality.drift))
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(made)
        return made

    # Pushing ---------------------------------------------------------------------------------------------------------

    def push(self) -> None:
        """Send what was counted now instead of with the next turn. Without a server it does nothing."""
        if self._pusher is not None:
            self._pusher.push(self)

    @property
    def pushed(self) -> "Pushed | None":
        """How pushing goes; None without a server."""
        return None if self._pusher is None else self._pusher.told

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _again(name: str, version: str, options: dict[str, Any], where: "Where | None", *rest: Any) -> Monitor:
    said: dict[str, Any] = {"server": ""} if where is None else where.said()
    return Monitor(name, version, **options, **said, log=rest[0], reference=rest[1])
