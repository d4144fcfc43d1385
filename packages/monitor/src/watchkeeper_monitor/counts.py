"""Counts by name in bounded memory, the same whatever the order and the split they were merged in."""

import heapq
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

LONGEST_NAME = 120
"""Characters of a name that are kept; a longer one ends in a digest of the whole."""


def bounded(name: str) -> str:
    """The name, or its beginning and a digest where it is too long to be kept."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 10]}…{_rank(name):016x}"[:LONGEST_NAME]


def _rank(name: str) -> int:
    """A number that is the same in every process: what decides which names are kept."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Counts:
    """How often each name came, for at most `limit` names; the rest is counted together as `other`.

    Kept are the names with the smallest hashes (a bottom-k sample: Cohen, Kaplan, "Summarizing data using bottom-k
    sketches", PODC 2007). A name once let go can never come back, so each kept count is exact, and merging gives
    the same in any order and split. The k-th hash also tells how many distinct names there were
    (Bar-Yossef et al., "Counting distinct elements in a data stream", 2002): within about 1/sqrt(limit).

    Which names are kept does not depend on how often they come. Of the others the most frequent are found besides, in
    half as many places (Misra, Gries, 1982; merged as in Agarwal et al., "Mergeable summaries", PODS 2012): each count
    is at most `short` too low, and `short` at most other / (limit / 2 + 1); this part depends on order and split.

    Apache DataSketches does the same in a compiled wheel of 1.9 MB. Beside it (`benchmarks/monitor_sketches.py`)
    distinct values are nearer here, the ten most frequent are found as surely, counts of up to `limit` names are exact
    and merge to the same in any order, and nothing is installed; beyond `limit` names it takes a quarter of the time.

    >>> c = Counts(limit=2)
    >>> for name in ("a", "b", "a"): c.add(name)
    >>> c.kept, c.other
    ({'a': 2, 'b': 1}, 0)
    """

    __slots__ = ("_heap", "frequent", "kept", "limit", "other", "short")

    def __init__(self, limit: int = 1000) -> None:
        if limit < 1:
            raise ValueError(f"at least one name must be kept, not {limit}")
        self.limit = limit
        self.kept: dict[str, int] = {}
        self.other = 0
        self.frequent: dict[str, int] = {}
        """Of those in `other`."""
        self.short = 0
        self._heap: list[tuple[int, str]] | None = None

    @property
    def total(self) -> int:
        return sum(self.kept.values()) + self.other

    @property
    def full(self) -> bool:
        """Whether names were folded into `other`."""
        return self.other != 0

    @property
    def distinct(self) -> int:
        """How many names there were: exact while all are kept, else an estimate."""
        if not self.full:
            return len(self.kept)
        largest = max(_rank(name) for name in self.kept)
        return max(len(self.kept) + 1, round((len(self.kept) - 1) / (largest / 2**64)))

    def add(self, name: str, times: int = 1) -> None:
        kept = self.kept
        if name in kept:
            kept[name] += times
        elif len(kept) < self.limit and not self.full:
            kept[name] = times
        elif name in self.frequent:  # let go before
            self.frequent[name] += times
            self.other += times
        else:
            self._decide(name, times)

    def _decide(self, name: str, times: int) -> None:
        if self._heap is None:
            self._heap = [(-_rank(each), each) for each in self.kept]
            heapq.heapify(self._heap)
        entry = (-_rank(name), name)
        if entry < self._heap[0]:
            self._let_go(name, times)
            return
        _, let_go = heapq.heappushpop(self._heap, entry)
        self.kept[name] = times
        self._let_go(let_go, self.kept.pop(let_go))

    def _let_go(self, name: str, times: int) -> None:
        self.other += times
        self.frequent[name] = self.frequent.get(name, 0) + times
        self._trim()

    def _trim(self) -> None:
        """Take from all what the first has that finds no place: so often, at least, did that many others come."""
        places = max(1, self.limit // 2)
        if len(self.frequent) > 2 * places:
            least = heapq.nlargest(places + 1, self.frequent.values())[-1]
            self.short += least
            self.frequent = {name: times - least for name, times in self.frequent.items() if times > least}

    def found(self) -> dict[str, int]:
        """How often each name came, as far as it is known: those of `frequent` came up to `short` times more."""
        return self.kept | self.frequent

    def top(self, number: int) -> list[tuple[str, int]]:
        """The most frequent."""
        return heapq.nsmallest(number, self.found().items(), key=lambda each: (-each[1], each[0]))

    def named(self, number: int) -> dict[str, int]:
        """The most frequent, and how many there are besides as `(other)`."""
        made = dict(self.top(number))
        rest = self.total - sum(made.values())
        return made | ({"(other)": rest} if rest else {})

    def merge(self, other: "Counts") -> None:
        """Add what another has counted. Raises ValueError when their limits differ."""
        if other.limit != self.limit:
            raise ValueError(f"counts of {self.limit} and {other.limit} names cannot be merged")
        for name, times in other.kept.items():
            self.add(name, times)
        self.other += other.other
        self.short += other.short
        for name, times in other.frequent.items():
            self.frequent[name] = self.frequent.get(name, 0) + times
        self._trim()

    def to_dict(self) -> dict[str, Any]:
        made: dict[str, Any] = {"limit": self.limit, "kept": dict(sorted(self.kept.items())), "other": self.other}
        return made | {"frequent": dict(sorted(self.frequent.items())), "short": self.short} if self.other else made

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Counts":
        made = cls(content["limit"])
        made.kept, made.other = dict(content["kept"]), content["other"]
        made.frequent, made.short = dict(content.get("frequent", {})), content.get("short", 0)
        return made
