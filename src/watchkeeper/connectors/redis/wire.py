"""One connection to a Redis server, spoken with hiredis.

Not a client of redis-py: that drops a connection on each timeout, and when all slots are taken a dropped connection is
the way in given away. This one keeps it, and skips the late replies.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any

import hiredis

Command = Sequence[str | int | float | bytes]
_NOTHING = object()
_CHUNK = 65536
_GREETING_SECONDS = 0.2


class ServerSaid(Exception):
    """An error reply: `ERR …`, `BUSY …`, `OOM …`."""

    @property
    def code(self) -> str:
        return str(self).split(" ", 1)[0]


class ConnectionLost(ConnectionError):
    """The server closed the connection."""


class Wire:
    """Commands and replies in order. Text that is not UTF-8 survives (surrogateescape)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = hiredis.Reader(
            replyError=ServerSaid, encoding="utf-8", errors="surrogateescape", notEnoughData=_NOTHING
        )
        self._lock = asyncio.Lock()
        self._owed = 0
        self.owed_since: float | None = None
        """Loop time since when replies are overdue; None while nothing is owed."""

    @classmethod
    async def open(cls, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> "Wire":
        """Connect; raises OSError."""
        return cls(*await asyncio.open_connection(host, port, ssl=tls))

    @property
    def closed(self) -> bool:
        return self._writer.is_closing() or self._reader.at_eof()

    def close(self) -> None:
        """Close at once, without waiting for anybody."""
        self._writer.close()
        self._writer.transport.abort()

    async def call(self, commands: Sequence[Command], *, timeout: float) -> list[Any]:
        """The replies to a pipeline; an error reply is a ServerSaid in its place.

        Raises TimeoutError (the connection stays, late replies are skipped) and ConnectionLost.
        """
        try:
            async with asyncio.timeout(timeout), self._lock:
                await self._skip_overdue()
                self._writer.write(b"".join(_packed(command) for command in commands))
                self._owed += len(commands)
                self.owed_since = asyncio.get_running_loop().time()
                return [await self._reply() for _ in commands]
        except TimeoutError:
            raise
        except OSError as problem:
            self.close()
            raise ConnectionLost(str(problem) or "the connection was closed") from None

    async def greeting(self) -> str:
        """What the server says unasked before it closes (no slot left, protected mode); empty if nothing."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_GREETING_SECONDS):
                said = await self._next()
                return str(said) if isinstance(said, ServerSaid) else ""
        return ""

    async def _skip_overdue(self) -> None:
        while self._owed:
            await self._reply()

    async def _reply(self) -> Any:
        said = await self._next()
        self._owed -= 1
        if not self._owed:
            self.owed_since = None
        return said

    async def _next(self) -> Any:
        while (said := self._parser.gets()) is _NOTHING:
            chunk = await self._reader.read(_CHUNK)
            if not chunk:
                raise ConnectionLost("the server closed the connection")
            self._parser.feed(chunk)
        return said


def _packed(command: Command) -> bytes:
    parts = [part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape") for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
