"""How connections are taken: by uvicorn, with patience for slow ones that ends."""

import asyncio
import socket
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from watchkeeper.settings import ServerSettings

LARGEST_FRAME = 1 << 16
"""Bytes of a message that comes over a WebSocket."""
UNREAD_SECONDS = 30
"""Seconds for which the kernel keeps what is sent to somebody who takes nothing (TCP_USER_TIMEOUT, tcp(7))."""
LINGERS = 2.0
"""Seconds for which what still comes is taken and thrown away, once a slow client was answered: to close at once would
be a reset, which swallows the answer."""
MOST_THROWN_AWAY = 1 << 24
"""Bytes of it."""
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def configured(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    """Quiet, without what it need not tell, and with limits. Streams that never end are cut off after a second when it
    stops."""
    limits = settings.limits
    tls = settings.tls
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        http=protocol(limits.head_seconds, limits.connections),
        ws="websockets-sansio",
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,  # a window for each client, and time for each message
        timeout_graceful_shutdown=1,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )


def protocol(head_seconds: float, most: int) -> type[H11Protocol]:
    """HTTP/1.1 in which the head of a request must come within so many seconds, and of so many connections at most:
    uvicorn waits for ever for a head that was begun, and for the first one."""

    class Impatient(H11Protocol):
        """Who was answered while something of theirs was still to come reads the answer: see `part`."""

        _late: asyncio.TimerHandle | None = None
        _answered = False
        _thrown_away = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
            else:
                self._wait()

        def data_received(self, data: bytes) -> None:
            if self._answered:
                self._thrown_away += len(data)
                if self._thrown_away > MOST_THROWN_AWAY:
                    self.transport.close()
                return
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._stop()
            elif self._late is None:
                self._wait()

        def handle_events(self) -> None:
            super().handle_events()
            cycle: Any = self.cycle  # None until there is a request
            if cycle is not None and not isinstance(cycle.transport, _Parting):
                cycle.transport = _Parting(self)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._late = self.loop.call_later(head_seconds, self._give_up)

        def _stop(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if self.transport.is_closing():
                return
            if self.conn.our_state is h11.IDLE:
                self.transport.write(_TOO_SLOW)
            self.part()

        def part(self) -> None:
            """Say nothing more, and take for a while what still comes: until the other side has closed, too."""
            self._stop()
            if self._answered or self.transport.is_closing():
                return
            self._answered = True
            if self.transport.can_write_eof():  # not over TLS, where the length tells where the answer ends
                self.transport.write_eof()
            self.flow.resume_reading()
            self._late = self.loop.call_later(LINGERS, self.transport.close)

    return Impatient


class _Parting:
    """The transport, for one who answers: to close it while the request is not through is to part."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol.transport, name)

    def close(self) -> None:
        if self._protocol.conn.their_state is h11.SEND_BODY:
            self._protocol.part()
        else:
            self._protocol.transport.close()


def impatient(listener: socket.socket) -> socket.socket:
    """The same, whose connections the kernel ends when what was sent is taken by nobody for long. Elsewhere than on
    Linux nothing is changed."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, UNREAD_SECONDS * 1000)
    return listener
