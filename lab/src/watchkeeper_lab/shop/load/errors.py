"""A replica whose state is broken: it is alive, and answers everything else with 500."""

from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

router = APIRouter()
_broken: list[str] = []
SPARED = ("/load", "/health")


class Broken:
    """Fails each request, as an exception in the application would."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, or fail."""
        if scope["type"] != "http" or not _broken or str(scope["path"]).startswith(SPARED):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": b"Internal Server Error"})


@router.post("/load/errors")
async def begin() -> dict[str, str]:
    """Answer with 500 from now on, until the process is started anew."""
    _broken[:] = ["broken"]
    return {"answers": "500"}


async def end() -> int:
    """Be well again."""
    ended = len(_broken)
    _broken.clear()
    return ended
