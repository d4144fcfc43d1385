"""Who answers late answers: a look does not wait for long, and yet hears what comes after it."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from watchkeeper.connectors.asking import Answer

PATIENT = 10.0
"""Seconds for which one request is waited for; who takes longer hangs (`http-unresponsive`)."""
_LASTS = 5.0
"""Seconds for which a late answer counts, besides what it took itself: until the next one could have come."""


@dataclass(slots=True)
class Patience:
    """The requests to one path: one of them may outlast its look."""

    _waited_for: "asyncio.Future[Answer] | None" = None
    _late: tuple[float, Answer] | None = None

    async def hear(self, request: Awaitable[Answer], seconds: float) -> Answer | None:
        """Its answer within `seconds`, or else a late one that still counts; None where there is neither."""
        asking = asyncio.ensure_future(request)
        try:
            done, _ = await asyncio.wait([asking], timeout=seconds)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        if done:
            self._late = None
            return asking.result()
        self._outlast(asking)
        if self._late is not None and time.monotonic() - self._late[0] <= self._late[1].seconds + _LASTS:
            return self._late[1]
        return None

    def end(self) -> None:
        """Nothing is waited for any more, and nothing that came late counts."""
        self._late = None
        if self._waited_for is not None:
            self._waited_for.cancel()
            self._waited_for = None

    def _outlast(self, asking: "asyncio.Future[Answer]") -> None:
        if self._waited_for is not None:
            asking.cancel()  # one is enough
            return
        self._waited_for = asking
        asking.add_done_callback(self._came)

    def _came(self, asking: "asyncio.Future[Answer]") -> None:
        if self._waited_for is not asking:
            return
        self._waited_for = None
        if not asking.cancelled() and asking.exception() is None and asking.result().answered:
            self._late = (time.monotonic(), asking.result())
