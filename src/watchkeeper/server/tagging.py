"""ETags: who has an answer already is told so instead of being sent it again."""

from hashlib import blake2b

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON = "application/json"


class Tagger:
    """Tags answers of GET that are JSON in one piece, by their bytes, and answers 304 to whoever names that tag in
    `If-None-Match` (RFC 9110, section 13.1.2). The answer is made all the same: it is the sending that is spared."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        held: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _taggable(message):
                held = message
                return
            if held is not None:
                start, held = held, None
                if not message.get("more_body"):
                    start, message = _answer(start, message, known)
                await send(start)
            await send(message)

        await self._app(scope, receive, tagged)


def _taggable(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and headers.get("content-type", "").startswith(JSON) and "etag" not in headers


def _answer(start: Message, body: Message, known: str) -> tuple[Message, Message]:
    tag = f'"{blake2b(body.get("body", b""), digest_size=12).hexdigest()}"'
    headers = MutableHeaders(raw=[*start["headers"], (b"etag", tag.encode())])
    if not matches(tag, known):
        return {**start, "headers": headers.raw}, body
    for name in ("content-length", "content-type"):
        del headers[name]
    return {**start, "status": 304, "headers": headers.raw}, {**body, "body": b""}


def matches(tag: str, known: str) -> bool:
    """Whether `If-None-Match` names it; compared weakly, as it is to be.

    >>> matches('"a"', '"b", W/"a"'), matches('"a"', "*"), matches('"a"', "")
    (True, True, False)
    """
    return known.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in known.split(",")}
