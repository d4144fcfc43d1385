"""Whoever follows the history is told that there is more of it."""

import asyncio


class Told:
    """A counter that can be waited for: it grows with every commit here, and with what is heard of others'."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    async def more(self) -> None:
        """There may be something new."""
        self.count += 1
        async with self._changed:
            self._changed.notify_all()

    async def wait(self, seen: int) -> None:
        """Until it has grown beyond `seen`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.count != seen)
