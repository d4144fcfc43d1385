"""Ranked outputs (search, recommendations): how good each was is counted when its label says what was relevant."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, cast

from watchkeeper_monitor.counts import Counts, bounded
from watchkeeper_monitor.figures import Share, mean
from watchkeeper_monitor.numbers import Shares
from watchkeeper_monitor.rare import DEPTH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from watchkeeper_monitor.columns import Told

REMEMBERED = 10_000
"""Rankings that can still be labelled."""
RELEVANT = 1000
"""Items that one label may call relevant."""
AT = (1, 5, 10, 20)
"""The k of NDCG@k and of the hit rate@k."""
NDCG = "ndcg@10"
"""What stands for how good rankings are."""
MEASURES = (*(f"ndcg@{k}" for k in AT), *(f"hit_rate@{k}" for k in AT), "map", "mrr")
_SUMS = ("predictions", "empty", "judged", "irrelevant")


class NoLabel(ValueError):
    """What was given as a label cannot be one."""


def is_ranking(prediction: Any) -> bool:
    """Lists, tuples and arrays of one dimension are."""
    return isinstance(prediction, list | tuple) or (type(prediction).__name__ == "ndarray" and prediction.ndim == 1)


def items(said: Any, told: "Told | None" = None) -> tuple[str, ...]:
    """The names of what was ranked, as far as it is kept; what is missing or comes again is left out, and told."""
    made: dict[str, None] = {}
    for item in said[:DEPTH]:
        wrong = ""
        try:
            name = None if item is None or item != item else bounded(str(item))
            wrong = "missing" if name is None else "ranked twice" if name in made else ""
        except Exception as problem:  # its own methods
            name, wrong = None, f"no name ({type(problem).__name__})"
        if name is not None:
            made[name] = None
        if wrong and told is not None:
            told[f"prediction: an item is {wrong}"] += 1
    return tuple(made)


def firsts(values: Iterable[Any]) -> list[Any]:
    """The first item of each ranking; None of an empty one, and other values as they are."""
    return [next(iter(items(value)), None) if is_ranking(value) else value for value in values]


Judgeable = tuple[tuple[str, ...], Mapping[str, float]]
"""What was ranked, and the gains of the relevant items: above 0, and there must be one."""


def scores(of: Sequence[Judgeable]) -> "NDArray[np.float64]":
    """A row for each ranking, as `MEASURES` has them, each 0 to 1.

    NDCG (Järvelin and Kekäläinen, ACM TOIS 2002) with the gain itself, not 2^gain, over log2(place + 1). MAP and MRR
    are over all items that are kept; average precision is divided by the number of relevant items, of at most `DEPTH`
    (Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 8.4).
    """
    import numpy as np

    found, best = np.zeros((len(of), DEPTH)), np.zeros((len(of), AT[-1]))
    for row, (ranked, gains) in enumerate(of):
        found[row, : len(ranked)] = [gains.get(item, 0.0) for item in ranked]
        most = sorted(gains.values(), reverse=True)[: AT[-1]]
        best[row, : len(most)] = most
    relevant = np.minimum(np.array([len(gains) for _, gains in of]), DEPTH)
    hits = found > 0
    ranks = np.cumsum(hits, axis=1)
    cuts = np.array(AT) - 1
    hit = ranks[:, -1] > 0
    made = np.empty((len(of), len(MEASURES)))
    made[:, : len(AT)] = _gained(found[:, : AT[-1]])[:, cuts] / _gained(best)[:, cuts]
    made[:, len(AT) : 2 * len(AT)] = ranks[:, cuts] > 0
    made[:, -2] = (hits * ranks / np.arange(1, DEPTH + 1)).sum(1) / relevant
    made[:, -1] = np.where(hit, 1 / (hits.argmax(1) + 1), 0.0)
    return np.minimum(made, 1.0)


def _gained(gains: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    places = np.arange(1, len(gains.T) + 1, dtype=np.float64)
    return np.cumsum(gains / np.log2(places + 1), axis=1)


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
        self.first = Counts()
        """How often each item was ranked first: what is compared with a reference."""
        self.ndcg = Shares()
        """NDCG@10 of each: what its onset is found by."""

    def shown(self, ranked: tuple[str, ...]) -> None:
        """Count what was ranked; `scored` counts how good it was."""
        self.predictions += 1
        self.empty += not ranked
        if ranked:
            self.first.add(ranked[0])

    def judge(self, rankings: Iterable[Judgeable]) -> "NDArray[np.float64]":
        """Count how good these were, each with its label's gains. Gives the scores of those with something relevant."""
        import numpy as np

        made: list[Judgeable] = []
        for ranked, gains in rankings:
            if relevant := {item: gain for item, gain in gains.items() if gain > 0}:
                made.append((ranked, relevant))
            else:
                self.irrelevant += 1
        found = scores(made) if made else np.zeros((0, len(MEASURES)))
        self.scored(found)
        return found

    def scored(self, found: "NDArray[np.float64]") -> None:
        """Count scores, a row for each ranking, as `MEASURES` has them."""
        self.judged += found.shape[0]
        self.sums = [a + b for a, b in zip(self.sums, found.sum(0).tolist(), strict=True)]
        self.squares = [a + b for a, b in zip(self.squares, (found * found).sum(0).tolist(), strict=True)]
        self.ndcg.record_all(found[:, MEASURES.index(NDCG)])

    def take_truth(self, other: "Rankings") -> None:
        """How good they were as another has it; what was ranked stays."""
        for name in ("judged", "irrelevant", "sums", "squares", "ndcg"):
            setattr(self, name, getattr(other, name))

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
        self.first.merge(other.first)
        self.ndcg.merge(other.ndcg)

    def to_dict(self) -> dict[str, Any]:
        parts = {"first": self.first.to_dict(), "ndcg": self.ndcg.to_dict()}
        return {name: getattr(self, name) for name in _SUMS} | {"sums": self.sums, "squares": self.squares} | parts

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Rankings":
        made = cls()
        for name in _SUMS:
            setattr(made, name, content[name])
        made.sums, made.squares = list(content["sums"]), list(content["squares"])
        if "first" in content:  # older monitors have none
            made.first, made.ndcg = Counts.from_dict(content["first"]), Shares.from_dict(content["ndcg"])
        return made


def of_all(found: Collection[Sequence[float]]) -> Rankings:
    """The scores of several rankings."""
    import numpy as np

    made = Rankings()
    if len(found):
        made.scored(np.array(found))
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
        made = items(said, told)
        into.shown(made)
        if len(self._items) >= self._most:
            del self._items[next(iter(self._items))]
        self._items[handle] = made

    def find(self, handle: int) -> "tuple[str, ...] | int | None":
        """What was ranked; a number where it was judged already; None where it is not remembered."""
        return self._items.get(handle)

    def judge(
        self, handle: int, ranked: tuple[str, ...], gains: Mapping[str, float], into: Rankings
    ) -> list[float] | None:
        """Its scores; None where nothing was relevant."""
        self._items[handle] = told_apart(gains)
        judged = into.judge([(ranked, gains)])
        return judged[0].tolist() if judged.size else None


def told_apart(gains: Mapping[str, float]) -> int:
    return hash(tuple(sorted(gains.items())))


def written(truth: Any) -> str:
    """A label as it is sent: of several items as JSON, of anything else its name. Raises ValueError as `relevance`."""
    if isinstance(truth, Mapping):
        return json.dumps(relevance(cast("Mapping[Any, Any]", truth)), ensure_ascii=False)
    if isinstance(truth, set | frozenset) or is_ranking(truth):
        return json.dumps(sorted(relevance(truth)), ensure_ascii=False)
    return bounded(str(truth))


def read(label: str) -> Any:
    """What `written` was given."""
    if label[:1] in ("[", "{"):
        try:
            return json.loads(label)
        except (ValueError, RecursionError):
            pass  # the name of an item may begin so, too
    return label


def relevance(truth: Any) -> dict[str, float]:
    """The gain of each relevant item: 1 of one, or of each of several; or as a mapping says.

    Raises ValueError for gains that are none, and for too many.
    """
    if isinstance(truth, Sized) and not isinstance(truth, str | bytes) and len(truth) > RELEVANT:
        raise NoLabel(f"more than {RELEVANT} items are relevant")
    if isinstance(truth, Mapping):
        given = cast("Mapping[Any, Any]", truth)
        return {bounded(str(item)): _gain(gain) for item, gain in given.items()}
    if isinstance(truth, set | frozenset) or is_ranking(truth):
        return {bounded(str(item)): 1.0 for item in cast("Iterable[Any]", truth) if item is not None}
    return {} if truth is None else {bounded(str(truth)): 1.0}


def _gain(value: Any) -> float:
    try:
        made = float(value)
    except (TypeError, ValueError, OverflowError):
        raise NoLabel("a gain is no number") from None
    if not 0 <= made < math.inf:
        raise NoLabel("a gain is below 0 or not finite")
    return made
