"""What takes longer than a look may, and is needed seldom: worked out beside the looks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from watchkeeper.domain import WatchkeeperError, now

log = structlog.get_logger(__name__)
SHARE = 0.01
"""Share of one core that it may take."""
T = TypeVar("T")


class Seldom(Generic[T]):
    """`value` is what `work` gave last; None until it was through once."""

    def __init__(self, work: Callable[[], Awaitable[T]], every: timedelta) -> None:
        self.value: T | None = None
        self._work = work
        self._every = every
        self._due = now()
        self._task: asyncio.Task[None] | None = None

    def turn(self) -> None:
        """Begin where it is due, and not at work already."""
        if now() >= self._due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="worked out seldom")

    async def settled(self) -> None:
        """Once what is at work is through."""
        if self._task is not None:
            await self._task

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        began = now()
        try:
            self.value = await self._work()
        except WatchkeeperError as problem:
            log.warning("not worked out", problem=problem.what)
        except Exception:
            log.exception("could not be worked out")
        finally:
            ended = now()
            self._due = ended + max(self._every, (ended - began) / SHARE)
