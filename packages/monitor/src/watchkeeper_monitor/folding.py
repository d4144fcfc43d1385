"""Where tracked rows become profiles: in batches, off the path of the request."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.capture import Capture
from watchkeeper_monitor.columns import Told, floats, known, plain, within
from watchkeeper_monitor.counts import Counts, bounded
from watchkeeper_monitor.features import record_feature
from watchkeeper_monitor.labelling import Labelling
from watchkeeper_monitor.onset import ROWS, SECONDS, Streams
from watchkeeper_monitor.profile import Profile, summed
from watchkeeper_monitor.ranking import NoLabel
from watchkeeper_monitor.rare import Extra
from watchkeeper_monitor.segments import Segment
from watchkeeper_monitor.words import counted

Row = tuple[int, Any, Any, Any, Any, Extra | None]
"""Handle, prediction, confidence, latency in seconds, input length, and what is rarely given."""


class Folding(Labelling):
    """The state of one monitor. Not thread-safe: the monitor holds its lock around every call."""

    def __init__(
        self,
        model: str,
        version: str,
        *,
        classes: Iterable[str] | None = None,
        vocabulary: frozenset[str] | None = None,
        window: int = 1000,
        drift_window: int = 10_000,
        remember: int = 1 << 16,
        pushed: bool = False,
        capture: Capture | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(window=window, remember=remember, capture=capture, clock=clock)
        self.vocabulary = vocabulary
        self.classes = None if classes is None else frozenset(classes)
        self.drift_window = drift_window
        self.past, self.previous, self.settled, self.current = (Profile(model, version) for _ in range(4))
        self.unsent = Profile(model, version) if pushed else None
        """What was not handed over by `cut`; None while nobody wants it."""
        self.streams = Streams()
        self.paces: deque[tuple[float, int]] = deque(maxlen=61)
        self.kinds: dict[str, str] = {}
        """`number` or `category` by feature: decided once, by the first value that was not missing."""

    # Rows ------------------------------------------------------------------------------------------------------------

    def rows(self, columns: Sequence[Sequence[Any]]) -> None:
        """Count tracked rows, given as the columns of `Row`. What cannot be counted is told in `rejects`."""
        try:
            self._rows(*columns)
        except Exception as problem:  # a value whose own methods raise: the others must not be lost with it
            if len(columns[0]) == 1:
                self.current.rejects.add(f"row: {type(problem).__name__}")
                return
            for row in zip(*columns, strict=True):
                self.rows([[each] for each in row])
            return
        if self.capture is not None:
            self.capture.rows(cast("Iterable[Row]", zip(*columns, strict=True)), self.clock(), self.current.rejects)

    def _rows(
        self,
        handles: Sequence[int],
        predictions: Sequence[Any],
        confidences: Sequence[Any],
        latencies: Sequence[Any],
        lengths: Sequence[Any],
        extras: Sequence[Extra | None],
    ) -> None:
        told = Told()
        ids = np.fromiter(handles, np.int64, len(handles))
        shares = within("confidence", floats("confidence", confidences, told), told, 1)
        seconds = within("latency_seconds", floats("latency_seconds", latencies, told), told)
        long = within("input_length", floats("input_length", lengths, told), told)
        codes, values = self.predictions(predictions, told)
        self.columns(ids, codes, values, shares, seconds, long)
        if self.has_rankings:
            self.keep_rankings(handles, predictions, told)
        for reason, times in told.items():
            self.current.rejects.add(reason, times)
        if extras.count(None) != len(extras):
            self.segments(self._extras(handles, extras), shares, seconds, long)

    def columns(
        self,
        ids: NDArray[np.int64],
        codes: NDArray[np.int32] | None,
        values: NDArray[np.float64] | None,
        shares: NDArray[np.float64] | None,
        seconds: NDArray[np.float64] | None,
        long: NDArray[np.float64] | None,
    ) -> None:
        """Count predictions that are arrays already, valid or NaN."""
        current, now = self._turn(), self.clock()
        current.seen(now)
        current.predictions += ids.size
        self.hour(now).predictions += ids.size
        if not self.paces or now - self.paces[-1][0] >= 1:
            before = self.past.predictions + self.previous.predictions + self.settled.predictions
            self.paces.append((now, before + current.predictions))
        if codes is not None:
            self._count(current.classes, codes)
        if values is not None:
            numbers = known(values)
            current.numeric += numbers.size
            current.outputs.record_all(numbers)
        if shares is not None:
            current.confidence.record_all(known(shares))
        if seconds is not None:
            current.latency.record_all(known(seconds))
        if long is not None:
            current.input_length.record_all(known(long))
        self.ring(int(ids[0])).remember(ids, codes, values, shares)

    def _count(self, counts: Counts, codes: NDArray[np.int32]) -> None:
        names = self.class_codes.names
        times = np.bincount(codes)
        for code in np.flatnonzero(times).tolist():
            name = names[code]
            if name is not None:
                counts.add(name, int(times[code]))

    def _turn(self) -> Profile:
        """The profile to count into; a full one makes room for the next."""
        if self.current.predictions >= ROWS and self.clock() - self.current.began >= SECONDS:
            self.settle()
        if self.settled.predictions + self.current.predictions >= self.drift_window:
            self.settle()
            self.past.merge(self.previous)
            self.previous, self.settled = self.settled, Profile(self.current.model, self.current.version)
        return self.current

    def settle(self) -> None:
        """End the piece of time that is counted into."""
        self.streams.take(self.current)
        self.settled.merge(self.current)
        if self.unsent is not None:
            self.unsent.merge(self.current)
        self.current = Profile(self.current.model, self.current.version)

    def cut(self) -> Profile:
        """What was counted since the last cut: these merge to `profile`, as far as somebody wanted them (`unsent`)."""
        if self.unsent is None:
            raise RuntimeError("nobody said before that what is counted will be cut")
        self.settle()
        made, self.unsent = self.unsent, Profile(self.current.model, self.current.version)
        return made

    # What is rarely given --------------------------------------------------------------------------------------------

    def _extras(self, handles: Sequence[int], extras: Sequence[Extra | None]) -> list[str | None]:
        """The segment of each. The rows are counted already: what raises here is told, and must not end the rest."""
        told = Told()
        costs: list[Any] = []
        features: dict[str, list[Any]] = {}
        segments: list[str | None] = []
        for handle, extra in zip(handles, extras, strict=True):
            if extra is None:
                segments.append(None)
                continue
            escalated, cost, text, true_label, segment, named, own_id = extra
            if escalated is not None and (flag := plain("escalated", escalated, bool, told)) is not None:
                self.current.escalation_known += 1
                self.current.escalated += flag
            if cost is not None:
                costs.append(cost)
            name = None if segment is None else plain("segment", segment, str, told)
            segments.append(None if name is None else bounded(name))
            part = None if name is None else self.segment(handle, bounded(name))
            if text is not None and (words := plain("text", text, str, told)) is not None:
                self._text(words, part)
            if named is not None:
                self._featured(named, part, features, told)
            if true_label is not None:
                self._truth("true_label", handle, true_label, told)
            if own_id is not None and (known_as := plain("id", own_id, str, told)) is not None:
                self._truth("id", handle, known_as, told)
        if costs and (values := floats("cost", costs, told)) is not None:
            self.current.cost.record_all(known(values))
        for name, given in features.items():
            record_feature(self.current, self.kinds, name, given, told)
        for reason, times in told.items():
            self.current.rejects.add(reason, times)
        return segments

    def _featured(self, named: Any, part: Segment | None, features: dict[str, list[Any]], told: Told) -> None:
        try:
            given = {bounded(str(name)): value for name, value in named.items()}
        except Exception as problem:  # no mapping, or a name of its own kind
            told[f"features: {type(problem).__name__}"] += 1
            return
        if part is not None:
            part.given(given.values())
        for name, value in given.items():
            features.setdefault(name, []).append(value)

    def _truth(self, what: str, handle: int, value: Any, told: Told) -> None:
        try:
            if what == "id":
                self.known_as(value, handle)
            else:
                self.meet(handle, value)
        except Exception as problem:
            told[f"label: {_why(problem)}"] += 1

    def segment(self, handle: int, segment: str) -> Segment | None:
        self.ring(handle).in_segment(handle, segment)
        return self.current.segment(segment)

    def segments(self, names: Sequence[str | None], *columns: NDArray[np.float64] | None) -> None:
        """Count confidence, latency and length of input by segment; the segments themselves were counted before."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if name is not None:
                rows.setdefault(name, []).append(row)
        for name, places in rows.items():
            if (part := self.current.by_segment.get(name)) is not None:
                for into, column in zip((part.confidence, part.latency, part.input_length), columns, strict=True):
                    if column is not None and (numbers := known(column[places])).size:
                        into.record_all(numbers)

    def _text(self, text: str, segment: Segment | None) -> None:
        if self.vocabulary is not None:
            words, unknown = counted(text, self.vocabulary)
            for into in (self.current,) if segment is None else (self.current, segment):
                into.tokens += words
                into.unknown_tokens += unknown

    # What comes besides ----------------------------------------------------------------------------------------------

    def event(self, kind: str, subject: Any, value: Any) -> None:
        """Count a label, an error, a satisfaction, a latency or a counter of the user's."""
        told = Told()
        try:
            self._event(kind, subject, value, told)
        except Exception as problem:  # as for rows: a value whose own methods raise
            told[f"{kind}: {_why(problem)}"] += 1
        for reason, times in told.items():
            self.current.rejects.add(reason, times)

    def _event(self, kind: str, subject: Any, value: Any, told: Told) -> None:
        now = self.clock()
        self.current.seen(now)
        if kind == "label":
            self.label(subject, value)
        elif kind == "error":
            self.current.errors.add(bounded(subject))
            self.hour(now).errors += 1
        elif kind == "counter":
            self.current.counters.add(bounded(subject), value)
        else:
            numbers = floats(kind, [value], told)
            if kind == "latency_seconds":
                numbers = within(kind, numbers, told)
            if numbers is not None:
                (self.current.latency if kind == "latency_seconds" else self.current.satisfaction).record_all(
                    known(numbers)
                )

    # What came of it -------------------------------------------------------------------------------------------------

    def profile(self) -> Profile:
        """Everything since the monitor began, as a value of its own."""
        return summed(self.past, self.previous, self.settled, self.current)

    def lately(self) -> Profile:
        """The last predictions: between one and two windows of drift."""
        return summed(self.previous, self.settled, self.current)


def _why(problem: Exception) -> str:
    """What of our own is said; of others' exceptions only the type, for what they say may hold anything."""
    return str(problem) if isinstance(problem, NoLabel) else type(problem).__name__
