"""The same over a WebSocket: what is wanted stands in the address or in a frame, and may be changed in between."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import structlog
from fastapi import WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from watchkeeper.domain import WatchkeeperError, now
from watchkeeper.server.live.asking import Ask, FirstFrame, wanted
from watchkeeper.server.live.fanout import Cut, TooMany
from watchkeeper.server.live.stream import HEARTBEAT, SEND_SECONDS, still
from watchkeeper.server.problems import problem_response
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Unauthorized, anyone_of, looker, looks, principal_by

log = structlog.get_logger(__name__)
FIRST_SECONDS = 10.0
"""Seconds in which whoever sent no token in a header must show one in a frame."""
FRAMES_A_MINUTE = 60
"""Frames taken from one client."""
LONGEST_REASON = 120
"""Bytes: what fits in a close frame."""
UNSUPPORTED, NOT_JSON, NOT_ALLOWED, BROKEN, LATER = 1003, 1007, 1008, 1011, 1013
"""Close codes of RFC 6455, section 7.4.1, and of its registry (1013)."""
OWN = 4000
"""What would have been an HTTP status is a close code above this: 4401, 4404, 4422."""


class Closed(Exception):
    """The server ends it, with a code and the reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:LONGEST_REASON].decode(errors="ignore")


async def serve(socket: WebSocket, runtime: Runtime) -> None:
    """From the handshake to the end."""
    try:
        looks(await anyone_of(socket, runtime))
        known = True
    except Unauthorized as problem:
        if "authorization" in socket.headers:
            await socket.send_denial_response(problem_response(problem, socket.url.path))
            return
        known = False
    except WatchkeeperError as problem:
        await socket.send_denial_response(problem_response(problem, socket.url.path))
        return
    await socket.accept()
    try:
        await _Talk(socket, runtime, known=known).go_on()
    except Closed as closed:
        await _close(socket, closed.code, closed.reason)
    except (WebSocketDisconnect, TimeoutError):
        pass
    except Exception:
        log.exception("a client of the live feed could not be served")
        await _close(socket, BROKEN, "an error of ours: the server's log has it")


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await socket.close(code, reason)


class _Talk:
    def __init__(self, socket: WebSocket, runtime: Runtime, *, known: bool) -> None:
        self._socket = socket
        self._runtime = runtime
        self._known = known
        self._token = ""
        self._frames: list[float] = []

    async def go_on(self) -> None:
        """Until one of both ends it. Raises Closed, WebSocketDisconnect."""
        ask = _in_address(self._socket)
        if not self._known:
            ask = await self._introduced()
        telling = asyncio.create_task(self._tell(ask), name="live client")
        asking = asyncio.create_task(self._frame(), name="live client's frames")
        try:
            while True:
                await asyncio.wait({telling, asking}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    frame = asking.result()
                    await _ended(telling)
                    telling = asyncio.create_task(self._tell(frame), name="live client")
                    asking = asyncio.create_task(self._frame(), name="live client's frames")
                elif telling.done():
                    telling.result()
        finally:
            await _ended(telling)
            await _ended(asking)

    async def _introduced(self) -> Ask:
        """What the first frame asks for, whose token lets it in."""
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                frame = await self._frame()
        except TimeoutError:
            raise Closed(OWN + 401, f"no token within {FIRST_SECONDS:g} s: send it in the first frame") from None
        if not frame.token:
            raise Closed(OWN + 401, "from another machine a token is needed: send it in the first frame")
        self._token = frame.token
        await self._allowed()
        return frame

    async def _allowed(self) -> None:
        try:
            if self._token:
                looks(await principal_by(self._runtime, self._token))
            else:
                await looker(self._socket, self._runtime)
        except WatchkeeperError as problem:
            raise Closed(OWN + problem.status, problem.what) from None

    async def _frame(self) -> FirstFrame:
        """What the client says next. Raises Closed where it is none of what may be said."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        clock = asyncio.get_running_loop().time()
        self._frames = [at for at in self._frames if at > clock - 60] + [clock]
        if len(self._frames) > FRAMES_A_MINUTE:
            raise Closed(NOT_ALLOWED, f"more than {FRAMES_A_MINUTE} frames in a minute")
        if message.get("text") is None:
            raise Closed(UNSUPPORTED, "only text frames are taken, each a JSON object")
        return _parsed(message["text"])

    async def _tell(self, ask: Ask) -> None:
        """Follow, until cancelled. Raises Closed."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        try:
            async with self._runtime.live.follower(await wanted(self._runtime, ask), ask.after) as follower:
                await self._send({"type": "subscribed", "after": follower.cursor})
                async for batch in follower.batches(HEARTBEAT):
                    if clock() - asked >= HEARTBEAT:
                        await still(follower, self._allowed)
                        asked = clock()
                    for message in batch:
                        await self._text(message.frame)
                    if not batch:
                        at = now().isoformat()
                        await self._send({"type": "heartbeat", "after": follower.cursor, "at": at})
        except Cut as cut:
            said = {"type": "cut", "reason": cut.reason, "after": cut.after}
            await self._send(said)
            raise Closed(LATER, f"{cut.reason}; go on with after={cut.after}") from None
        except TooMany as problem:
            raise Closed(LATER, problem.what) from None
        except WatchkeeperError as problem:
            raise Closed(OWN + problem.status, problem.what) from None

    async def _send(self, said: dict[str, Any]) -> None:
        await self._text(json.dumps(said))

    async def _text(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(text)
        except TimeoutError:
            log.info("a client of the live feed takes nothing any more: it is cut off", seconds=SEND_SECONDS)
            raise


def _in_address(socket: WebSocket) -> Ask:
    query = socket.query_params
    said: dict[str, Any] = {name: query.getlist(name) for name in ("kinds", "resource", "environment") if name in query}
    said |= {name: value for name, value in query.items() if name not in said}
    try:
        return Ask.model_validate(said)
    except ValidationError as problem:
        raise Closed(OWN + 422, _complaint(problem)) from None


def _parsed(text: str) -> FirstFrame:
    try:
        return FirstFrame.model_validate_json(text)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]["type"]
        code = NOT_JSON if first in ("json_invalid", "model_type") else OWN + 422
        raise Closed(code, _complaint(problem)) from None


def _complaint(problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


async def _ended(task: "asyncio.Task[Any]") -> None:
    """It is over, however it ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
