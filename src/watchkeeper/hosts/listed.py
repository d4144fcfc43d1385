"""What runs in a container, asked once for all who want to know at about the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts.answers import items

SECONDS = 5.0
"""How old a list may be. Each connector asks for one, and to make one the engine starts two programs: some 15 ms of a
core, more the more runs on its machine."""
_WIDE = {"ps_args": "-efww"}
"""As by itself, and uncut: an engine that was started from a terminal has a `ps` that cuts commands at its width."""


class Listed:
    """The commands in one container; `top` asks its engine, with parameters or without."""

    def __init__(self, top: Callable[[dict[str, str] | None], Awaitable[Any]]) -> None:
        self._top = top
        self._asked: asyncio.Future[list[str]] | None = None
        self._asked_at = 0.0

    async def __call__(self) -> list[str]:
        """None where the engine does not tell, as when it stopped meanwhile."""
        if self._asked is None or time.monotonic() - self._asked_at > SECONDS:
            self._asked, self._asked_at = asyncio.ensure_future(self._ask()), time.monotonic()
        try:
            return await asyncio.shield(self._asked)
        except Exception:  # told to all who asked together, and to nobody after them
            self._asked = None
            raise

    def forget(self) -> None:
        """Something happened to the container: whoever asks next is told what is so now."""
        self._asked = None

    async def _ask(self) -> list[str]:
        for how in (_WIDE, None):
            with suppress(WatchkeeperError):  # its machine's `ps` may know no such option
                table: dict[str, Any] = await self._top(how)
                column = table["Titles"].index("CMD") if "CMD" in table["Titles"] else -1
                return [str(row[column]) for row in items(table, "Processes")]
        return []
