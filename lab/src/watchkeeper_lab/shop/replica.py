"""Which replica answered: the header `X-Replica`, with SHOP_REPLICA or else the name of the host."""

import os
import socket

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAME = (os.environ.get("SHOP_REPLICA") or socket.gethostname()).encode()


class Named:
    """Puts the replica's name on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and add the header where the answer begins."""

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).append((b"x-replica", NAME))
            await send(message)

        await self._app(scope, receive, named)
