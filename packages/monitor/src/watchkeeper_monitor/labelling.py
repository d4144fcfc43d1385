"""Predictions that are remembered, and the labels that are met with them, whichever came first."""

import operator
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from watchkeeper_monitor.capture import Capture
from watchkeeper_monitor.columns import Told
from watchkeeper_monitor.counts import bounded
from watchkeeper_monitor.naming import Naming
from watchkeeper_monitor.ranking import NoLabel, Ranked, is_ranking, relevance, told_apart
from watchkeeper_monitor.recent import FIRST_OF_BATCHES, Codes, Recent
from watchkeeper_monitor.recent import told_apart as of_label

WAITING_LABELS = 10_000
"""Labels by id that came before their prediction, and are kept for it."""
HOURS = 7 * 24


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


class Labelling(Naming):
    """What `Folding` keeps until labels come, and what they say."""

    def __init__(self, *, window: int, remember: int, capture: Capture | None, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.capture = capture
        self.window: deque[Judged] = deque(maxlen=window)
        self.hours: dict[int, Hour] = {}
        self.segment_codes = Codes()
        self.recent = Recent(remember, self.class_codes, self.segment_codes)
        self._recent_batches: Recent | None = None
        self.ranked = Ranked(remember)
        self.rankings: deque[list[float]] = deque(maxlen=window)
        self.ids: dict[str, int] = {}
        self.waiting: dict[str, Any] = {}
        self._remember = remember

    def ring(self, handle: int) -> Recent:
        """Batches have a ring of their own: their handles are counted apart."""
        if handle < FIRST_OF_BATCHES:
            return self.recent
        if self._recent_batches is None:
            self._recent_batches = Recent(self._remember, self.class_codes, self.segment_codes)
        return self._recent_batches

    def hour(self, now: float) -> Hour:
        number = int(now // 3600)
        if number not in self.hours:
            self.hours[number] = Hour()
            for old in [each for each in self.hours if each <= number - HOURS]:
                del self.hours[old]
        return self.hours[number]

    def keep_rankings(self, handles: Iterable[int], predictions: Iterable[Any], told: Told) -> None:
        for handle, said in zip(handles, predictions, strict=True):
            if is_ranking(said):
                self.ranked.keep(handle, said, self.current.rankings, told)

    def known_as(self, own_id: Any, handle: int) -> None:
        """A prediction has an id of the caller's; a label that waited for it is met."""
        name = bounded(str(own_id))
        if name not in self.ids and len(self.ids) >= self._remember:
            del self.ids[next(iter(self.ids))]
        self.ids[name] = handle
        if name in self.waiting:
            self.meet(handle, self.waiting.pop(name))

    def label(self, subject: Any, truth: Any) -> None:
        """Meet a label with its prediction, by handle or by the caller's own id. Raises NoLabel."""
        try:
            given: int | str = operator.index(subject)
        except TypeError:
            given = str(subject)
        handle = given if isinstance(given, int) else self.ids.get(bounded(given))
        if self.capture is not None:
            self.capture.label(given, truth, self.clock(), met=handle is not None)
        if handle is not None:
            self.meet(handle, truth)
        elif isinstance(given, str):
            self._wait(bounded(given), truth)

    def _wait(self, name: str, truth: Any) -> None:
        """As of a prediction that is there, the first label stands."""
        if name in self.waiting:
            same = bool(self.waiting[name] == _short(truth))
            self.current.truth.repeated += same
            self.current.truth.conflicting += not same
            return
        if len(self.waiting) >= WAITING_LABELS:
            del self.waiting[next(iter(self.waiting))]
            self.current.truth.unknown += 1
        self.waiting[name] = _short(truth)

    def meet(self, handle: int, truth: Any) -> None:
        said = self.current.truth
        if self.ranked.ever and (ranking := self.ranked.find(handle)) is not None:
            self._rank(handle, ranking, truth)
            return
        remembered = self.ring(handle).find(handle)
        if remembered is None:
            said.unknown += 1
            return
        name = self._name(truth)
        if self.classes is not None and name not in self.classes:
            self.current.rejects.add("label: unknown class")
            return
        if remembered.truth:
            same = remembered.truth == of_label(name)
            said.repeated += same
            said.conflicting += not same
            return
        if remembered.predicted is not None:
            self._judge(remembered.predicted, name, remembered.confidence, remembered.segment)
        elif remembered.value == remembered.value:
            said.measured(_number(truth), remembered.value)
            self.hour(self.clock()).labelled += 1
        elif self.ranked.ever and (isinstance(truth, Mapping) or is_ranking(truth)):
            said.unknown += 1  # a ranking that is no longer remembered
            return
        else:
            self.current.rejects.add("label: its prediction was rejected")
            return
        self.ring(handle).met(handle, name)

    def _rank(self, handle: int, ranking: tuple[str, ...] | int, truth: Any) -> None:
        gains = relevance(truth)
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
        hour = self.hour(self.clock())
        hour.labelled += 1
        hour.correct += right
        if segment is not None:
            self.current.segments_labelled.add(segment)
            if right:
                self.current.segments_correct.add(segment)


def _number(truth: Any) -> float:
    try:
        made = float(truth)
    except (TypeError, ValueError, OverflowError):
        raise NoLabel("not a number") from None
    if made - made != 0:
        raise NoLabel("not finite")
    return made


def _short(truth: Any) -> Any:
    """A label that may wait for long: in bounded memory, and nothing that the caller may change."""
    if isinstance(truth, Mapping | set | frozenset) or is_ranking(truth):
        return relevance(truth)
    return truth if isinstance(truth, int | float) else bounded(str(truth))
