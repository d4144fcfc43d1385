"""Who asks, and from where: Host and Origin checked, tokens compared in constant time, roles asked for."""

import asyncio
import hmac
import re
from datetime import timedelta
from typing import Annotated

import structlog
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from watchkeeper.domain import Forbidden, Principal, WatchkeeperError, now
from watchkeeper.domain.access import MAY, Token
from watchkeeper.server.limits import Limiter, address_of
from watchkeeper.server.openapi import operation_id
from watchkeeper.server.problems import problem_response
from watchkeeper.server.runtime import Runtime
from watchkeeper.settings import ServerSettings
from watchkeeper.store import Store, StoreAway

log = structlog.get_logger(__name__)
ANYBODY = Principal("person", "anybody", "viewer")
LARGEST_BODY = 1 << 20
"""Bytes."""
LARGEST_PUSH = 16 << 20
"""Bytes that a model server may send at once."""
_PUSHES = re.compile(r"/api/models/[^/]+/(profiles|records|labels|reference)")
NOTED = timedelta(minutes=1)
"""How exactly the last use of a token is known."""
TAKEN_SECONDS = 60.0
"""Within which a piece of an answer must be taken."""
_TOKEN = re.compile(r"wk_(?P<id>tok-[0-9a-f]{8})_(?P<secret>[\w-]{20,100})")
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""What every answer says unless it says otherwise itself."""


class Unauthorized(WatchkeeperError):
    """No token, or none that is known."""

    status = 401


class TooLarge(WatchkeeperError):
    status = 413


class TooSlow(WatchkeeperError):
    status = 408


class Doorkeeper:
    """Refuses requests that a web page on another origin could have caused (DNS rebinding, CSRF, WebSocket hijacking),
    huge ones, ones that take too long to come, and too many of them."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, limiter: Limiter) -> None:
        self._app = app
        self._names = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in (settings.host, *settings.names))}
        if settings.public_url:
            self._names.add(_name(settings.public_url.split("://", 1)[1].split("/", 1)[0]))
        self._limiter = limiter
        self._body_seconds = settings.limits.body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        socket = scope["type"] == "websocket"
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        most = LARGEST_PUSH if _PUSHES.fullmatch(scope["path"]) else LARGEST_BODY
        refused = self._too_many(scope, headers) or (
            self._refusal_of_handshake(headers) if socket else self._refusal(headers, most)
        )
        if not socket:
            send = _guarded(send)
            if refused is None:
                receive, refused = await self._body(receive, headers, most)
        if refused:
            await problem_response(refused, scope["path"])(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _body(
        self, receive: Receive, headers: dict[str, str], most: int
    ) -> tuple[Receive, WatchkeeperError | None]:
        """The body, which must come in time; one of unknown length is read whole first."""
        if headers.get("content-length") == "0" or not {"content-length", "transfer-encoding"} & set(headers):
            return receive, None
        try:
            async with asyncio.timeout(self._body_seconds):
                return await _read_whole(receive, most)
        except TimeoutError:
            return receive, TooSlow(f"The body of the request did not come within {self._body_seconds:g} s.")

    def _too_many(self, scope: Scope, headers: dict[str, str]) -> WatchkeeperError | None:
        """Whoever shows a token is counted by it, once it is known."""
        address = address_of(HTTPConnection(scope))
        if address is None or "authorization" in headers:
            return None
        try:
            self._limiter.count(address, scope.get("method", "GET"))
        except WatchkeeperError as problem:
            return problem
        return None

    def _refusal_of_handshake(self, headers: dict[str, str]) -> WatchkeeperError | None:
        """A browser lets any page open a WebSocket, and read it: only pages that came from here may, to the port."""
        if refused := self._refusal(headers, LARGEST_BODY):
            return refused
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        if origin and (found := origin.split("://", 1)[-1].lower()) not in (host, *self._names):
            return Forbidden(f"A WebSocket is not opened from the origin {origin}: {found} is not {host}.")
        return None

    def _refusal(self, headers: dict[str, str], most: int) -> WatchkeeperError | None:
        host = headers.get("host", "")
        if _name(host) not in self._names:
            return Forbidden(
                f"The Host header {host!r} is not this server.", "Use its own address, or add it to server.names."
            )
        origin = headers.get("origin")
        if origin and (origin == "null" or _name(origin.split("://", 1)[-1]) not in self._names):
            return Forbidden(f"Requests from the origin {origin} are not taken.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            return _too_large(most)
        return None


def _guarded(send: Send) -> Send:
    """The same, with the headers that keep a browser from doing with an answer what it was not asked for."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = {name.lower() for name, _ in message["headers"]}
            more = [(name, value) for name, value in HEADERS.items() if name not in said]
            message = {**message, "headers": [*message["headers"], *more]}
        async with asyncio.timeout(TAKEN_SECONDS):
            await send(message)

    return guarded


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The request is larger than {most} bytes.")


async def _read_whole(receive: Receive, most: int) -> tuple[Receive, TooLarge | None]:
    """The body of a request, as one that can be received; or the refusal."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > most:
            return receive, _too_large(most)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    if message["type"] == "http.request":
        message["body"] = bytes(body)
    whole: list[Message] = [message]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again, None


def _name(host: str) -> str:
    """Host without port, in small letters; brackets of IPv6 kept."""
    host = host.lower()
    return host.split("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]


async def runtime_of(connection: HTTPConnection) -> Runtime:
    """Not a plain function: FastAPI calls those in a thread, which costs more than all the rest of a small answer."""
    return connection.app.state.runtime


async def anyone_of(connection: HTTPConnection, runtime: Annotated[Runtime, Depends(runtime_of)]) -> Principal:
    """Whoever shows a token, counted by it; without one, loopback may look. Raises Unauthorized, TooOften."""
    limiter: Limiter = connection.app.state.limiter
    method, address = connection.scope.get("method", "GET"), address_of(connection)
    try:
        who = await whoever(connection, runtime)
    except Unauthorized:
        if address and "authorization" in connection.headers:
            limiter.count(address, method)
        raise
    if who is runtime.operator and address:
        limiter.count(address, method)
    elif who not in (ANYBODY, runtime.operator):
        limiter.count(who.id, "GET" if who.role == "sender" else method)  # what is pushed is seldom, of many
    return who


async def whoever(connection: HTTPConnection, runtime: Runtime) -> Principal:
    """The same, not counted. Raises Unauthorized."""
    scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
    if shown:
        return await principal_by(runtime, shown if scheme.lower() == "bearer" else "")
    if address_of(connection) is not None:
        raise Unauthorized("From another machine a token is needed.", "Send it as: Authorization: Bearer TOKEN.")
    return ANYBODY


async def principal_of(who: Annotated[Principal, Depends(anyone_of)]) -> Principal:
    """The same, but for who may only send: a model server's token shows nothing to whoever finds it there."""
    return looks(who)


Shown = Annotated[Principal, Depends(principal_of)]


async def looker(connection: HTTPConnection, runtime: Runtime) -> Principal:
    """Whoever may look, not counted. Raises Unauthorized, Forbidden."""
    return looks(await whoever(connection, runtime))


def looks(who: Principal) -> Principal:
    """Raises Forbidden."""
    if who.role == "sender":
        raise Forbidden(
            f"{who.name} has the role sender: it may push profiles, records and labels, and look at nothing.",
            "docs/access.md tells who may what.",
        )
    return who


async def principal_by(runtime: Runtime, shown: str) -> Principal:
    """Whose token it is. Raises Unauthorized."""
    if hmac.compare_digest(shown.encode(errors="replace"), runtime.token.encode()):
        return runtime.operator
    if (known := await _known(runtime.store, shown)) is not None:
        return known
    raise Unauthorized(
        "The token is not known, or holds no more.",
        f"The operator's is in {runtime.settings.data / 'token'}; `watchkeeper token list` shows the others.",
    )


async def _known(store: Store, shown: str) -> Principal | None:
    """Whose token it is, read anew for each request: a revoked one opens nothing from then on, on any executor."""
    found = _TOKEN.fullmatch(shown)
    if found is None:
        return None
    token = await store.find(Token, found["id"])
    if token is None or not token.fits(found["secret"]) or not token.stands(now()):
        return None
    if token.used_at is None or now() - token.used_at >= NOTED:
        try:
            async with store.transaction() as transaction:
                present = await store.get(Token, token.id)
                if not present.stands(now()):
                    return None
                await transaction.put(present.used(now()))
        except StoreAway as problem:
            log.warning("the use of a token could not be noted", token=token.id, problem=str(problem))
    return token.principal


def allowed(runtime: Runtime, who: Principal, what: str, operation: str | None = None) -> Principal:
    """Raises Unauthorized without a token, and Forbidden where role and policy do not let them. `what`: the group of
    what is to be done (`MAY`); `operation`: its own name."""
    if who is ANYBODY:
        raise Unauthorized("Without a token one may only look.", "Send it as: Authorization: Bearer TOKEN.")
    refusal = runtime.access.refusal(who, what, operation)
    if refusal is None:
        return who
    if refusal.policy and who.role in MAY[what]:
        why = refusal.reason or f"{operation or what} is not for {who.name} (role {who.role})."
        raise Forbidden(f"{why.rstrip('.')} (policy {refusal.policy}).", "docs/access.md tells who may what.")
    *others, last = MAY[what]
    takes = f"{', '.join(others)} or {last}" if others else last
    raise Forbidden(f"{who.name} has the role {who.role}; this takes {takes}.", "docs/access.md tells who may what.")


class _May:
    """A dependency: whoever asks may do that."""

    def __init__(self, what: str) -> None:
        self.what = what

    async def __call__(
        self, connection: HTTPConnection, runtime: Annotated[Runtime, Depends(runtime_of)], who: Shown
    ) -> Principal:
        return allowed(runtime, who, self.what, _operation(connection))


class _MaySend(_May):
    """The same for who may not even look."""

    async def __call__(
        self,
        connection: HTTPConnection,
        runtime: Annotated[Runtime, Depends(runtime_of)],
        who: Annotated[Principal, Depends(anyone_of)],
    ) -> Principal:
        return allowed(runtime, who, self.what, _operation(connection))


def group_of(dependency: object) -> str | None:
    """Of a dependency that lets only some in: which group of operations it guards."""
    return dependency.what if isinstance(dependency, _May) else None


def _operation(connection: HTTPConnection) -> str | None:
    route = connection.scope.get("route")
    return operation_id(route) if isinstance(route, APIRoute) else None


Here = Annotated[Runtime, Depends(runtime_of)]
Viewer = Annotated[Principal, Depends(principal_of)]
Asker = Annotated[Principal, Depends(_May("ask"))]
"""Whoever has a token and may look: to ask a language model costs money, and sends what it looks at elsewhere."""
Submitter = Annotated[Principal, Depends(_May("submit"))]
"""A person or an agent who may ask for something to be done; policy decides."""
Operator = Annotated[Principal, Depends(_May("operate"))]
Approver = Annotated[Principal, Depends(_May("approve"))]
Pusher = Annotated[Principal, Depends(_MaySend("send"))]
"""A model server, or a person who may operate."""
Admin = Annotated[Principal, Depends(_May("administer"))]
