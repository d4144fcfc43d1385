"""The door of `/mcp`: the token first, and the rest made when somebody first comes."""

import asyncio
from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from watchkeeper.domain import WatchkeeperError
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import allowed, anyone_of


class NotInstalled(WatchkeeperError):
    """The SDK is an extra."""

    status = HTTPStatus.NOT_IMPLEMENTED.value


class Gate:
    """An ASGI application. Nobody comes in without the token, not even to look, not even from this machine: what an
    agent reads leaves it. Host, Origin and size were looked at before, as for all the rest of the server."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._making = asyncio.Lock()
        self._made: ASGIApp | None = None
        self._kept: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed(self._runtime, await anyone_of(Request(scope), self._runtime), "submit", "use_mcp")
        async with self._making:
            if self._made is None:
                self._made = await self._make()
        await self._made(scope, receive, send)

    async def _make(self) -> ASGIApp:
        try:
            made = await asyncio.to_thread(_import)
        except ImportError as problem:
            raise NotInstalled(
                f"MCP is not installed here ({problem}).", "pip install 'watchkeeper[mcp]', then start again."
            ) from None
        manager = made(self._runtime)
        ready = asyncio.Event()

        async def keep() -> None:
            """Its sessions belong to one task, which ends with the server's loop."""
            async with manager.run():
                ready.set()
                await asyncio.Event().wait()

        self._kept = asyncio.create_task(keep(), name="mcp")
        await ready.wait()
        return manager.asgi_app


def _import():
    from watchkeeper.server.mcp.service import sessions

    return sessions
