"""How fast visitors come, whatever they visit."""

import asyncio
import time

RATE = 15.0
"""Requests per second in ordinary times."""
LONGEST = 12 * 3600.0
"""Seconds after which traffic ends by itself, should nobody end it."""


class Pace:
    """Lets callers through at a steady rate. Slots that nobody was there to take are lost, not made up for."""

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate
        self._next = time.monotonic()

    async def turn(self) -> None:
        """Wait for the next slot."""
        now = time.monotonic()
        self._next = max(self._next + self._gap, now)
        await asyncio.sleep(self._next - now)
