"""How many fixes may be at work at the same time, overall and near each other."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager


class Hands:
    """`async with hands.taken(own, near)` waits until there is room.

    `overall` is how many at all, `nearby` how many whose neighbourhoods touch. Two never work on the same resource.
    """

    def __init__(self, overall: int, nearby: int) -> None:
        self._overall = overall
        self._nearby = nearby
        self._free = asyncio.Condition()
        self._working: list[tuple[frozenset[str], frozenset[str]]] = []

    @asynccontextmanager
    async def taken(self, own: Iterable[str], near: Iterable[str]) -> AsyncGenerator[bool]:
        """`own`: what is worked on; `near`: its neighbours. Says whether it had to be waited for."""
        mine = (frozenset(own), frozenset((*own, *near)))
        async with self._free:
            waited = not self._room(mine)
            await self._free.wait_for(lambda: self._room(mine))
            self._working.append(mine)
        try:
            yield waited
        finally:
            async with self._free:
                self._working.remove(mine)
                self._free.notify_all()

    def _room(self, mine: tuple[frozenset[str], frozenset[str]]) -> bool:
        own, around = mine
        if len(self._working) >= self._overall or any(own & theirs for theirs, _ in self._working):
            return False
        return sum(bool(around & theirs) for _, theirs in self._working) < self._nearby
