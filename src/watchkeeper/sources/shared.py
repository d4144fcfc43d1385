"""One question for everybody who wants to know now: many ask, it is asked once, and kept for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shared(Generic[K, V]):
    """`fetch` is given all keys that are wanted, and gives a value for each. `keep`: seconds for which it stands."""

    def __init__(self, fetch: Callable[[Collection[K]], Awaitable[Mapping[K, V]]], keep: float) -> None:
        self.keep = keep
        self._fetch = fetch
        self._wanted: set[K] = set()
        self._known: Mapping[K, V] = {}
        self._at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V:
        """What is known of it since a moment ago, or now. Raises what `fetch` raises."""
        self._wanted.add(key)
        if key in self._known and asyncio.get_running_loop().time() - self._at < self.keep:
            return self._known[key]
        while True:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._refresh(), name="ask a source")
                self._task.add_done_callback(_retrieved)
            task = self._task
            await asyncio.shield(task)  # whoever waits may be cut off; the others still want it
            if key in self._known:
                return self._known[key]

    def forget(self, key: K) -> None:
        self._wanted.discard(key)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _refresh(self) -> None:
        wanted = frozenset(self._wanted)
        try:
            self._known = await self._fetch(wanted)
        except BaseException:
            self._known = {}
            raise
        self._at = asyncio.get_running_loop().time()


def _retrieved(task: "asyncio.Task[None]") -> None:
    """Where nobody waited any more, nobody is told."""
    if not task.cancelled():
        task.exception()
