"""Who looks after what, where several executors share one store: decided from the same rows by the same rule.

What depends on one another stays in one hand: a root is found, and neighbours are kept from harm, only by who sees all
of it. So connected resources are taken and given together.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from watchkeeper.domain.resource import Resource


@dataclass(frozen=True, slots=True)
class Share:
    """Who holds a resource; `offered`: another executor that has room may take it."""

    holder: str
    offered: bool = False


class Fence(Protocol):
    """Whether this executor still may: asked in the store before each step, and of the clock while it is done."""

    id: str

    async def confirm(self, resource: str) -> None:
        """Raises Conflict where another executor holds it now."""
        ...

    def check(self) -> None:
        """Raises Conflict once it may have been taken for dead. Costs nothing."""
        ...


class Alone:
    """The one executor of a store: it holds everything."""

    id = ""

    async def confirm(self, resource: str) -> None:
        return

    def check(self) -> None:
        return


@dataclass(slots=True)
class Moves:
    """What an executor does about its share now: resources it takes, and those of its own that it offers."""

    take: set[str] = field(default_factory=set[str])
    offer: set[str] = field(default_factory=set[str])


def components(resources: Mapping[str, Resource]) -> list[frozenset[str]]:
    """Resources that are connected by what they depend on or run on, in the order of their ids."""
    near: dict[str, set[str]] = {key: set() for key in resources}
    for key, resource in resources.items():
        for other in (*resource.depends_on, resource.runs_on):
            if other in near:
                near[key].add(other)
                near[other].add(key)
    found: list[frozenset[str]] = []
    seen: set[str] = set()
    for key in sorted(near):
        if key in seen:
            continue
        group, open_ends = {key}, [key]
        while open_ends:
            for other in near[open_ends.pop()] - group:
                group.add(other)
                open_ends.append(other)
        seen |= group
        found.append(frozenset(group))
    return found


def decide(
    me: str,
    alive: Collection[str],
    shares: Mapping[str, Share],
    groups: Iterable[frozenset[str]],
    pinned: Collection[str],
    waited: Callable[[frozenset[str]], bool],
) -> Moves:
    """What `me` takes and offers. `alive` holds `me` too.

    `groups` are what this executor can reach; `pinned` is what has an incident that is being handled: it is taken over
    at once, and never given away. `waited` tells of something free whether others have had the time to take it.
    """
    load = {executor: sum(share.holder == executor for share in shares.values()) for executor in alive}
    moves = Moves()
    spare: list[frozenset[str]] = []
    for group in groups:
        held = {key: shares[key].holder for key in group if key in shares and shares[key].holder in load}
        free = {key for key in group if key not in held}
        holders = set(held.values())
        if holders == {me}:
            moves.take |= free
            spare.append(group)
        elif me in holders:  # what has grown together ends in one hand
            if _winner(held) == me:
                moves.take |= free | {key for key, holder in held.items() if holder != me and shares[key].offered}
            elif not group & set(pinned):
                moves.offer |= {key for key, holder in held.items() if holder == me}
        elif not holders:
            if group & set(pinned) or load[me] <= min(load.values()) or waited(group):
                moves.take |= group
                load[me] += len(group)
        elif len(holders) == 1 and not free and all(shares[key].offered for key in group):
            (giver,) = holders
            if load[me] + len(group) <= load[giver] - len(group):
                moves.take |= group
                load[me] += len(group)
                load[giver] -= len(group)
        elif free and waited(frozenset(free)):
            moves.take |= free
    others = {executor: number for executor, number in load.items() if executor != me}
    for group in sorted(spare, key=lambda group: (len(group), min(group))):
        least = min(others, key=lambda executor: (others[executor], executor), default=None)
        if least is None or group & set(pinned) or load[me] - len(group) < others[least] + len(group):
            continue
        moves.offer |= group
        load[me] -= len(group)
        others[least] += len(group)
    return moves


def _winner(held: Mapping[str, str]) -> str:
    """Of several that hold parts of what belongs together: who holds most of it."""
    holders = sorted(set(held.values()))
    return max(holders, key=lambda holder: sum(known == holder for known in held.values()))
