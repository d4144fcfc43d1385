"""Ranked outputs (search, recommendations): how good each was is counted when its label says what was relevant."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from watchkeeper_monitor.counts import bounded
from watchkeeper_monitor.figures import Share, mean
from watchkeeper_monitor.rare import DEPTH

if TYPE_CHECKING:
    from watchkeeper_monitor.columns import Told

REMEMBERED = 10_000
"""Rankings that can still be labelled."""
AT = (1, 5, 10, 20)
"""The k of NDCG@k and of the hit rate@k."""
MEASURES = (*(f"ndcg@{k}" for k in AT), *(f"hit_rate@{k}" for k in AT), "map", "mrr")
_SUMS = ("predictions", "empty", "judged", "irrelevant")


def is_ranking(prediction: Any) -> bool:
    """Lists, tuples and arrays of one dimension are."""
    return isinstance(prediction, list | tuple) or (type(prediction).__name__ == "ndarray" and prediction.ndim == 1)


def scores(ranked: tuple[str, ...], gains: Mapping[str, float]) -> list[float]:
    """As `MEASURES` has them, each 0 to 1. `gains`: of the relevant items, above 0; there must be one.

    NDCG (Järvelin and Kekäläinen, ACM TOIS 2002) with the gain itself, not 2^gain, over log2(place + 1). MAP and MRR
    are over all items that are kept; average precision is divided by the number of relevant items, of at most `DEPTH`
    (Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 8.4).
    """
    found = [gains.get(item, 0.0) for item in ranked]
    best = sorted(gains.values(), reverse=True)
    places = [place for place, gain in enumerate(found, 1) if gain > 0]
    made = [_gained(found[:k]) / _gained(best[:k]) for k in AT]
    made += [float(bool(places) and places[0] <= k) for k in AT]
    precisions = sum(rank / place for rank, place in enumerate(places, 1))
    return [*made, precisions / min(len(gains), DEPTH), 1 / places[0] if places else 0.0]


def _gained(gains: list[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


class Rankings:
    """What labels say of rankings; mergeable."""

    def __init__(self) -> None:
        self.predictions = 0
        self.empty = 0
        """Rankings of nothing; they count, and hit nothing."""
        self.judged = 0
        self.irrelevant = 0
        """Labels that call nothing relevant: no ranking of that is better than another, so they are not averaged."""
        self.sums = [0.0] * len(MEASURES)
        self.squares = [0.0] * len(MEASURES)

    def add(self, found: Iterable[float]) -> None:
        self.judged += 1
        for place, score in enumerate(found):
            self.sums[place] += score
            self.squares[place] += score * score

    def means(self) -> dict[str, Share]:
        """Each measure with its interval; empty where nothing was judged."""
        if not self.judged:
            return {}
        each = zip(MEASURES, self.sums, self.squares, strict=True)
        return {name: mean(total, squares, self.judged) for name, total, squares in each}

    def merge(self, other: "Rankings") -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]
        self.squares = [a + b for a, b in zip(self.squares, other.squares, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SUMS} | {"sums": self.sums, "squares": self.squares}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Rankings":
        made = cls()
        for name in _SUMS:
            setattr(made, name, content[name])
        made.sums, made.squares = list(content["sums"]), list(content["squares"])
        return made


def of_all(found: Iterable[Iterable[float]]) -> Rankings:
    """The scores of several rankings."""
    made = Rankings()
    for each in found:
        made.add(each)
    return made


class Ranked:
    """The last rankings of one monitor, until their labels come."""

    def __init__(self, remember: int) -> None:
        self._most = min(remember, REMEMBERED)
        self._items: dict[int, tuple[str, ...] | int] = {}
        """By handle; of those that were judged, what tells their label from another."""
        self.ever = False

    def keep(self, handle: int, said: Any, into: Rankings, told: "Told") -> None:
        """Remember what was ranked. Items that are missing or come again are left out, and told."""
        self.ever = True
        made: dict[str, None] = {}
        for item in said[:DEPTH]:
            name = None if item is None or item != item else bounded(str(item))
            if name is None:
                told["prediction: an item is missing"] += 1
            elif name in made:
                told["prediction: an item is ranked twice"] += 1
            else:
                made[name] = None
        into.predictions += 1
        into.empty += not made
        if len(self._items) >= self._most:
            del self._items[next(iter(self._items))]
        self._items[handle] = tuple(made)

    def find(self, handle: int) -> "tuple[str, ...] | int | None":
        """What was ranked; a number where it was judged already; None where it is not remembered."""
        return self._items.get(handle)

    def judge(
        self, handle: int, ranked: tuple[str, ...], gains: Mapping[str, float], into: Rankings
    ) -> list[float] | None:
        """Its scores; None where nothing was relevant."""
        self._items[handle] = told_apart(gains)
        relevant = {item: gain for item, gain in gains.items() if gain > 0}
        if not relevant:
            into.irrelevant += 1
            return None
        found = scores(ranked, relevant)
        into.add(found)
        return found


def told_apart(gains: Mapping[str, float]) -> int:
    return hash(tuple(sorted(gains.items())))


def relevance(truth: Any) -> dict[str, float]:
    """The gain of each relevant item: 1 of one, or of each of several; or as a mapping says.

    Raises ValueError for gains that are none.
    """
    if isinstance(truth, Mapping):
        given = cast("Mapping[Any, Any]", truth)
        return {bounded(str(item)): _gain(gain) for item, gain in given.items()}
    if isinstance(truth, list | tuple | set | frozenset) or is_ranking(truth):
        return {bounded(str(item)): 1.0 for item in cast("Iterable[Any]", truth) if item is not None}
    return {} if truth is None else {bounded(str(truth)): 1.0}


def _gain(value: Any) -> float:
    try:
        made = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a gain is no number") from None
    if not 0 <= made < math.inf:
        raise ValueError("a gain is below 0 or not finite")
    return made
