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

    >>> c = Counts(limit=2)
    >>> for name in ("a", "b", "a"): c.add(name)
    >>> c.kept, c.other
    ({'a': 2, 'b': 1}, 0)
    """

    __slots__ = ("_heap", "kept", "limit", "other")

    def __init__(self, limit: int = 1000) -> None:
        if limit < 1:
            raise ValueError(f"at least one name must be kept, not {limit}")
        self.limit = limit
        self.kept: dict[str, int] = {}
        self.other = 0
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
        else:
            self._decide(name, times)

    def _decide(self, name: str, times: int) -> None:
        if self._heap is None:
            self._heap = [(-_rank(each), each) for each in self.kept]
            heapq.heapify(self._heap)
        entry = (-_rank(name), name)
        if entry < self._heap[0]:
            self.other += times
            return
        _, let_go = heapq.heappushpop(self._heap, entry)
        self.kept[name] = times
        self.other += self.kept.pop(let_go)

    def top(self, number: int) -> list[tuple[str, int]]:
        """The most frequent of those kept."""
        return heapq.nsmallest(number, self.kept.items(), key=lambda each: (-each[1], each[0]))

    def merge(self, other: "Counts") -> None:
        """Add what another has counted. Raises ValueError when their limits differ."""
        if other.limit != self.limit:
            raise ValueError(f"counts of {self.limit} and {other.limit} names cannot be merged")
        for name, times in other.kept.items():
            self.add(name, times)
        self.other += other.other

    def to_dict(self) -> dict[str, Any]:
        return {"limit": self.limit, "kept": dict(sorted(self.kept.items())), "other": self.other}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Counts":
        made = cls(content["limit"])
        made.kept, made.other = dict(content["kept"]), content["other"]
        return made
