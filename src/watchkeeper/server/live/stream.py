"""Server-sent events: what a follower is given, written to somebody who may read slowly or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Message as Sent
from starlette.types import Receive, Scope, Send

from watchkeeper.domain import WatchkeeperError
from watchkeeper.server.live.fanout import Cut, Fanout, Follower, Wanted
from watchkeeper.server.openapi import MEDIA

log = structlog.get_logger(__name__)
HEARTBEAT = 15.0
"""Seconds without anything to tell, after which a sign of life is given; the right to look is asked for as often."""
SEND_SECONDS = 20.0
"""Seconds in which a piece must be taken."""
AGAIN = 2000
"""Milliseconds after which a browser comes back."""


class Streamed(Protocol):
    @property
    def seq(self) -> int: ...

    @property
    def sse(self) -> str: ...


S = TypeVar("S", bound=Streamed)
Allowed = Callable[[], Awaitable[object]]
"""Raises where somebody may look no more: the token was revoked, or has expired."""


class Feed(StreamingResponse):
    """A stream that ends where nobody takes it. `held` is let go of at its end, begun or not."""

    media_type = MEDIA

    def __init__(self, pieces: AsyncIterator[str], held: AsyncExitStack) -> None:
        super().__init__(pieces, headers={"X-Accel-Buffering": "no"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        async def within(message: Sent) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        try:
            await super().stream_response(within)
        except TimeoutError:
            log.info("a client of the live feed takes nothing any more: it is cut off", seconds=SEND_SECONDS)


async def stream(
    fanout: Fanout[S], wanted: Wanted[S], after: int | None, allowed: Allowed, *, follow: bool = True
) -> Feed:
    """From `after` on; without `follow` what there is already. Raises TooMany, BeyondTheEnd."""
    held = AsyncExitStack()
    follower = await held.enter_async_context(fanout.follower(wanted, after))
    return Feed(_told(follower, allowed) if follow else _there(follower), held)


async def _there(follower: Follower[S]) -> AsyncIterator[str]:
    async for batch in follower.rest():
        yield "".join(message.sse for message in batch)
    yield _mark("end", {"after": follower.cursor}, follower.cursor)


async def _told(follower: Follower[S], allowed: Allowed) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    asked = clock()
    yield f": watchkeeper\nretry: {AGAIN}\n\n"
    try:
        async for batch in follower.batches(HEARTBEAT):
            if clock() - asked >= HEARTBEAT:
                await still(follower, allowed)
                asked = clock()
            yield "".join(message.sse for message in batch) or f": still here\nid: {follower.cursor}\n\n"
    except Cut as cut:
        yield _mark("cut", {"reason": cut.reason, "after": cut.after}, cut.after)


async def still(follower: Follower[S], allowed: Allowed) -> None:
    """It is cut where looking is allowed no more."""
    try:
        await allowed()
    except WatchkeeperError as problem:
        follower.cut(problem.what)


def _mark(kind: str, said: dict[str, object], cursor: int) -> str:
    return f"id: {cursor}\nevent: {kind}\ndata: {json.dumps(said)}\n\n"
