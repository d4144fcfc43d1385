"""What Sentinels say of the primaries they watch: told by the looks at Sentinels, asked by the looks at servers."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DOWN_AFTER_SECONDS = 30.0
FAILOVER_SECONDS = 180.0
"""Sentinel's own defaults (redis.io/docs, "High availability with Redis Sentinel"): where none is watched itself."""
_FORGET_SECONDS = 900.0
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Watched:
    """One primary as a Sentinel sees it. Times in seconds."""

    name: str
    primary: Address
    run_id: str
    replicas: tuple[tuple[Address, str], ...]
    """Address and run id of each, reachable or not."""
    good_replicas: int
    sentinels: int
    quorum: int
    quorum_ok: bool
    down_after: float
    failover_timeout: float
    epoch: int
    """Rises with each failover: of two Sentinels the higher one knows more."""

    @property
    def wait(self) -> float:
        """For how long a primary that is gone is Sentinel's affair."""
        return self.down_after + self.failover_timeout


@dataclass(frozen=True, slots=True)
class Place:
    """What a server is to the Sentinels that know it."""

    watched: Watched
    primary: bool
    """It is the primary now, as far as they know."""


class Watches:
    """Kept for a while after the last Sentinel fell silent: that is when it matters who was there."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[float, Watched]] = {}

    def tell(self, sentinel: str, watched: Iterable[Watched]) -> None:
        """What one Sentinel (its resource's id) sees now."""
        present = time.monotonic()
        for one in watched:
            self._told[sentinel, one.name] = (present, one)

    def of(self, addresses: Sequence[Address], run_id: str) -> Place | None:
        """What a server at these addresses, or with this run id, is to them; None where none knows it."""
        since = time.monotonic() - _FORGET_SECONDS
        found: list[tuple[int, float, Place]] = []
        for at, one in self._told.values():
            if at < since:
                continue
            if one.primary in addresses or (run_id and one.run_id == run_id):
                found.append((one.epoch, at, Place(one, primary=True)))
            elif any(address in addresses or (run_id and run_id == known) for address, known in one.replicas):
                found.append((one.epoch, at, Place(one, primary=False)))
        return max(found, key=lambda entry: entry[:2])[2] if found else None


WATCHES = Watches()
"""Of this process: both connectors, of servers and of Sentinels, are in it."""
