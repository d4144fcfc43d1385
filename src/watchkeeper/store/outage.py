"""A database that is away for a while: what was asked of it is asked again, and it is said once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from watchkeeper.store.files import StoreGone
from watchkeeper.store.postgres import StoreAway, away, unwritable

log = structlog.get_logger(__name__)
T = TypeVar("T")
PAUSE = 0.25
"""Seconds between two tries."""


class Outage:
    """Knows whether the database is away, and since when."""

    def __init__(self) -> None:
        self.since: float | None = None
        """When it was first missed, in the event loop's time; None while it answers."""
        self._reads_only = False
        """Whether it is a write that fails: then only a write tells that it is over."""
        self.problem: str | None = None
        """What a person is told of it; None while it can be written."""

    async def survive(self, action: Callable[[], Awaitable[T]], patience: float) -> T:
        """Its result, tried again for `patience` seconds while the connection fails. Raises StoreAway."""
        clock = asyncio.get_running_loop().time
        until = clock() + patience
        while True:
            try:
                result = await action()
            except Exception as problem:
                if not away(problem):
                    raise
                if self.since is None:
                    self.since = clock()
                    log.error("the store cannot be reached; it is tried again, looking goes on", problem=_said(problem))
                self.complaint(problem)
                if clock() >= until:
                    raise self.complaint(problem) from problem
            else:
                if self.since is not None and not self._reads_only:
                    log.warning("the store is back", seconds=round(clock() - self.since, 1))
                    self.since = None
                return result
            await asyncio.sleep(PAUSE)  # nothing tells when a database is back

    def written(self) -> None:
        """Something was committed: there is a database, and room."""
        if self._reads_only:
            log.warning("the store can be written again")
            self.since = None
        self._reads_only, self.problem = False, None

    def complaint(self, problem: BaseException) -> StoreAway:
        """The error for whoever asked, which is also what people are told."""
        if isinstance(problem, StoreAway):
            said, self._reads_only = problem, self._reads_only or isinstance(problem, StoreGone)
        elif advice := unwritable(problem):
            said, self._reads_only = StoreAway(f"The store cannot be written: {_said(problem)}.", advice), True
        else:
            said = StoreAway(
                "The store cannot be reached now.", f"Looking goes on, nothing is changed: {_said(problem)}"
            )
        self.problem = str(said)
        return said


def _said(problem: BaseException) -> str:
    return (str(getattr(problem, "orig", problem)).strip().splitlines() or [type(problem).__name__])[0]
