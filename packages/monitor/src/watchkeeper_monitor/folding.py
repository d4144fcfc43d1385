"""Where tracked rows become profiles: in batches, off the path of the request."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.capture import Capture
from watchkeeper_monitor.columns import Told, floats, known, within
from watchkeeper_monitor.counts import Counts, bounded
from watchkeeper_monitor.features import record_feature
from watchkeeper_monitor.naming import Naming
from watchkeeper_monitor.onset import ROWS, SECONDS, Streams
from watchkeeper_monitor.profile import Profile, summed
from watchkeeper_monitor.ranking import Ranked, is_ranking, relevance, told_apart
from watchkeeper_monitor.rare import Extra
from watchkeeper_monitor.recent import FIRST_OF_BATCHES, Codes, Recent
from watchkeeper_monitor.segments import Segment

Row = tuple[int, Any, Any, Any, Any, Extra | None]
"""Handle, prediction, confidence, latency in seconds, input length, and what is rarely given."""
WAITING_LABELS = 10_000
"""Labels by id that came before their prediction, and are kept for it."""
HOURS = 7 * 24
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Hour:
    """What came in one hour."""

    predictions: int = 0
    labelled: int = 0
    correct: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """One prediction whose truth is known."""

    true: str
    predicted: str
    confidence: float | None
    right: bool


class Folding(Naming):
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
        super().__init__()
        self.clock = clock
        self.vocabulary = vocabulary
        self.classes = None if classes is None else frozenset(classes)
        self.drift_window = drift_window
        self.capture = capture
        self.past, self.previous, self.settled, self.current = (Profile(model, version) for _ in range(4))
        self.unsent = Profile(model, version) if pushed else None
        """What was not handed over by `cut`; None while nobody wants it."""
        self.streams = Streams()
        self.window: deque[Judged] = deque(maxlen=window)
        self.hours: dict[int, Hour] = {}
        self.paces: deque[tuple[float, int]] = deque(maxlen=61)
        self.segment_codes = Codes()
        self.recent = Recent(remember, self.class_codes, self.segment_codes)
        self._recent_batches: Recent | None = None
        self.ranked = Ranked(remember)
        self.rankings: deque[list[float]] = deque(maxlen=window)
        self.ids: dict[str, int] = {}
        self.waiting: dict[str, Any] = {}
        self.kinds: dict[str, str] = {}
        """`number` or `category` by feature: decided once, by the first value that was not missing."""
        self._remember = remember

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
            try:
                self.capture.rows(cast("Iterable[Row]", zip(*columns, strict=True)), self.clock())
            except Exception as problem:
                self.current.rejects.add(f"record: {type(problem).__name__}")

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
            self._extras(handles, extras)
            self.segments([None if each is None else each[4] for each in extras], shares, seconds, long)

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
        self._hour(now).predictions += ids.size
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
        self._ring(int(ids[0])).remember(ids, codes, values, shares)

    def _count(self, counts: Counts, codes: NDArray[np.int32]) -> None:
        names = self.class_codes.names
        times = np.bincount(codes)
        for code in np.flatnonzero(times).tolist():
            name = names[code]
            if name is not None:
                counts.add(name, int(times[code]))

    def _ring(self, handle: int) -> Recent:
        """Batches have a ring of their own: their handles are counted apart."""
        if handle < FIRST_OF_BATCHES:
            return self.recent
        if self._recent_batches is None:
            self._recent_batches = Recent(self._remember, self.class_codes, self.segment_codes)
        return self._recent_batches

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

    def _hour(self, now: float) -> Hour:
        number = int(now // 3600)
        if number not in self.hours:
            self.hours[number] = Hour()
            for old in [each for each in self.hours if each <= number - HOURS]:
                del self.hours[old]
        return self.hours[number]

    # What is rarely given --------------------------------------------------------------------------------------------

    def _extras(self, handles: Sequence[int], extras: Sequence[Extra | None]) -> None:
        told = Told()
        costs: list[Any] = []
        features: dict[str, list[Any]] = {}
        for handle, extra in zip(handles, extras, strict=True):
            if extra is None:
                continue
            escalated, cost, text, true_label, segment, named, own_id = extra
            if escalated is not None:
                self.current.escalation_known += 1
                self.current.escalated += bool(escalated)
            if cost is not None:
                costs.append(cost)
            part = None if segment is None else self.segment(handle, bounded(str(segment)))
            if text is not None:
                self._text(str(text), part)
            if named is not None:
                if part is not None:
                    part.given(named.values())
                for name, value in named.items():
                    features.setdefault(str(name), []).append(value)
            if true_label is not None:
                self.meet(handle, true_label)
            if own_id is not None:
                self._known_as(own_id, handle)
        if costs and (values := floats("cost", costs, told)) is not None:
            self.current.cost.record_all(known(values))
        for name, given in features.items():
            record_feature(self.current, self.kinds, name, given)
        for reason, times in told.items():
            self.current.rejects.add(reason, times)

    def segment(self, handle: int, segment: str) -> Segment | None:
        self._ring(handle).in_segment(handle, segment)
        return self.current.segment(segment)

    def segments(self, names: Sequence[Any], *columns: NDArray[np.float64] | None) -> None:
        """Count confidence, latency and length of input by segment; the segments themselves were counted before."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if name is not None:
                rows.setdefault(bounded(str(name)), []).append(row)
        for name, places in rows.items():
            if (part := self.current.by_segment.get(name)) is not None:
                for into, column in zip((part.confidence, part.latency, part.input_length), columns, strict=True):
                    if column is not None and (numbers := known(column[places])).size:
                        into.record_all(numbers)

    def _text(self, text: str, segment: Segment | None) -> None:
        if self.vocabulary is not None:
            words = _WORD.findall(text.lower())
            unknown = sum(word not in self.vocabulary for word in words)
            for into in (self.current,) if segment is None else (self.current, segment):
                into.tokens += len(words)
                into.unknown_tokens += unknown

    def _known_as(self, own_id: str, handle: int) -> None:
        if len(self.ids) >= self._remember:
            del self.ids[next(iter(self.ids))]
        self.ids[own_id] = handle
        if own_id in self.waiting:
            self.meet(handle, self.waiting.pop(own_id))

    # What comes besides ----------------------------------------------------------------------------------------------

    def event(self, kind: str, subject: Any, value: Any) -> None:
        """Count a label, an error, a satisfaction, a latency or a counter of the user's."""
        told = Told()
        try:
            self._event(kind, subject, value, told)
        except Exception as problem:  # as for rows: a value whose own methods raise
            told[f"{kind}: {type(problem).__name__}"] += 1
        for reason, times in told.items():
            self.current.rejects.add(reason, times)

    def _event(self, kind: str, subject: Any, value: Any, told: Told) -> None:
        now = self.clock()
        self.current.seen(now)
        if kind == "label":
            self.label(subject, value)
        elif kind == "error":
            self.current.errors.add(bounded(subject))
            self._hour(now).errors += 1
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

    def label(self, subject: int | str, truth: Any) -> None:
        """Meet a label with its prediction, by handle or by the caller's own id."""
        handle = subject if isinstance(subject, int) else self.ids.get(subject)
        if self.capture is not None:
            self.capture.label(subject, truth, self.clock(), met=handle is not None)
        if handle is not None:
            self.meet(handle, truth)
            return
        if subject not in self.waiting and len(self.waiting) >= WAITING_LABELS:
            del self.waiting[next(iter(self.waiting))]
            self.current.truth.unknown += 1
        self.waiting[str(subject)] = truth

    def meet(self, handle: int, truth: Any) -> None:
        said = self.current.truth
        if self.ranked.ever and (ranking := self.ranked.find(handle)) is not None:
            self._rank(handle, ranking, truth)
            return
        remembered = self._ring(handle).find(handle)
        if remembered is None:
            said.unknown += 1
            return
        name = self._name(truth)
        if self.classes is not None and name not in self.classes:
            self.current.rejects.add("label: unknown class")
            return
        if remembered.truth is not None:
            said.repeated += remembered.truth == name
            said.conflicting += remembered.truth != name
            return
        if remembered.predicted is not None:
            self._judge(remembered.predicted, name, remembered.confidence, remembered.segment)
        elif remembered.value == remembered.value:
            said.measured(float(truth), remembered.value)
            self._hour(self.clock()).labelled += 1
        elif self.ranked.ever and (isinstance(truth, Mapping) or is_ranking(truth)):
            said.unknown += 1  # a ranking that is no longer remembered
            return
        else:
            self.current.rejects.add("label: its prediction was rejected")
            return
        self._ring(handle).met(handle, name)

    def keep_rankings(self, handles: Iterable[int], predictions: Iterable[Any], told: Told) -> None:
        for handle, said in zip(handles, predictions, strict=True):
            if is_ranking(said):
                self.ranked.keep(handle, said, self.current.rankings, told)

    def _rank(self, handle: int, ranking: tuple[str, ...] | int, truth: Any) -> None:
        try:
            gains = relevance(truth)
        except ValueError as problem:
            self.current.rejects.add(f"label: {problem}")
            return
        if isinstance(ranking, int):
            same = ranking == told_apart(gains)
            self.current.truth.repeated += same
            self.current.truth.conflicting += not same
            return
        if found := self.ranked.judge(handle, ranking, gains, self.current.rankings):
            self.rankings.append(found)

    def _judge(self, predicted: str, true: str, confidence: float | None, segment: str | None) -> None:
        right = self.current.truth.judged(true, predicted, confidence)
        self.window.append(Judged(true, predicted, confidence, right))
        hour = self._hour(self.clock())
        hour.labelled += 1
        hour.correct += right
        if segment is not None:
            self.current.segments_labelled.add(segment)
            if right:
                self.current.segments_correct.add(segment)

    # What came of it -------------------------------------------------------------------------------------------------

    def profile(self) -> Profile:
        """Everything since the monitor began, as a value of its own."""
        return summed(self.past, self.previous, self.settled, self.current)

    def lately(self) -> Profile:
        """The last predictions: between one and two windows of drift."""
        return summed(self.previous, self.settled, self.current)
