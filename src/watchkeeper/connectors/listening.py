"""A log that is followed beside the looks, of which so many lines a second are taken and no more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from watchkeeper.domain import WatchkeeperError

PER_SECOND = 2000
"""Lines of one log that are looked at within a second; the others are counted."""
_AGAIN_SECONDS = 1.0


async def listen(
    lines: Callable[[], AsyncIterator[str]], take: Callable[[float, str], None], passed: Callable[[], None]
) -> None:
    """For ever: each new line is given to `take` with the loop time, and `passed` is called for each that is too
    many. Where the stream ends, with its host or because it cannot be read, it is begun anew."""
    loop = asyncio.get_running_loop()
    second = read = 0
    while True:
        with contextlib.suppress(WatchkeeperError, OSError, TimeoutError):
            async for line in lines():
                present = loop.time()
                if int(present) != second:
                    second, read = int(present), 0
                read += 1
                if read > PER_SECOND:
                    passed()
                else:
                    take(present, line)
        await asyncio.sleep(_AGAIN_SECONDS)  # nothing tells when there is a new one
