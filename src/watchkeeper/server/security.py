"""Who asks, and from where: Host and Origin checked, tokens compared in constant time."""

import hmac
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from watchkeeper.domain import Forbidden, Principal, WatchkeeperError
from watchkeeper.server.problems import problem_response
from watchkeeper.server.runtime import Runtime

ANYBODY = Principal("person", "anybody", "viewer")
LARGEST_BODY = 1 << 20
"""Bytes."""
_TOO_LARGE = f"The request is larger than {LARGEST_BODY} bytes."


class Unauthorized(WatchkeeperError):
    """No token, or none that is known."""

    status = 401


class TooLarge(WatchkeeperError):
    status = 413


class Doorkeeper:
    """Refuses requests that a web page on another origin could have caused (DNS rebinding, CSRF), and huge ones."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {"localhost", "127.0.0.1", "[::1]", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
            refused = self._refusal(headers)
            if refused is None and "content-length" not in headers:
                receive, refused = await _read_whole(receive)  # it did not say how much would come
            if refused:
                await problem_response(refused, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: dict[str, str]) -> WatchkeeperError | None:
        host = headers.get("host", "")
        if _name(host) not in self._names:
            return Forbidden(
                f"The Host header {host!r} is not this server.", "Use its own address, or set server.host."
            )
        origin = headers.get("origin")
        if origin and (origin == "null" or _name(origin.split("://", 1)[-1]) not in self._names):
            return Forbidden(f"Requests from the origin {origin} are not taken.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return TooLarge(_TOO_LARGE)
        return None


async def _read_whole(receive: Receive) -> tuple[Receive, TooLarge | None]:
    """The body of a request of unknown length, as one that can be received; or the refusal."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return receive, TooLarge(_TOO_LARGE)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    if message["type"] == "http.request":
        message["body"] = body
    whole: list[Message] = [message]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again, None


def _name(host: str) -> str:
    """Host without port, in small letters; brackets of IPv6 kept."""
    host = host.lower()
    return host.split("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]


def runtime_of(request: Request) -> Runtime:
    return request.app.state.runtime


def principal_of(request: Request, runtime: Annotated[Runtime, Depends(runtime_of)]) -> Principal:
    """Whoever shows the operator's token; without one, loopback may look."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if shown:
        if scheme.lower() == "bearer" and hmac.compare_digest(shown.encode(), runtime.token.encode()):
            return runtime.operator
        raise Unauthorized("The token is not known.", f"The operator's is in {runtime.settings.data / 'token'}.")
    client = request.client.host if request.client else ""
    try:
        local = ip_address(client).is_loopback
    except ValueError:
        local = client == "testclient"
    if not local:
        raise Unauthorized("From another machine a token is needed.", "Send it as: Authorization: Bearer TOKEN.")
    return ANYBODY


def operator_of(principal: Annotated[Principal, Depends(principal_of)]) -> Principal:
    """Whoever may change things. Raises Unauthorized."""
    if principal.role == "viewer":
        raise Unauthorized("Without a token one may only look.", "Send it as: Authorization: Bearer TOKEN.")
    return principal


Here = Annotated[Runtime, Depends(runtime_of)]
Viewer = Annotated[Principal, Depends(principal_of)]
Operator = Annotated[Principal, Depends(operator_of)]
