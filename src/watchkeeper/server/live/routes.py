"""`/api/live`: what happens, as it happens, to looker follows."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, WebSocket
from fastapi.responses import StreamingResponse

from watchkeeper.server.live.asking import FARTHEST, Ask, wanted
from watchkeeper.server.live.socket import serve
from watchkeeper.server.live.stream import Feed, stream
from watchkeeper.server.openapi import EVENTS, MEDIA
from watchkeeper.server.security import Here, Viewer, looker, runtime_of

router = APIRouter(tags=["live"])
LastEventId = Annotated[
    int | None, Header(ge=0, le=FARTHEST, description="where a browser goes on; counts more than `after`")
]


class AskStream(Ask):
    """The same, in the address of a stream."""

    follow: Annotated[bool, Query(description="`false`: end with what there is already")] = True


@router.get(
    "/api/live",
    response_class=StreamingResponse,
    summary="Follow what happens",
    responses={200: {"description": "Server-sent events", "content": {MEDIA: EVENTS}}},
)
async def live(
    request: Request,
    runtime: Here,
    _: Viewer,
    ask: Annotated[AskStream, Query()],
    last_event_id: LastEventId = None,
) -> Feed:
    """Everything that happens, as it happens, as server-sent events; over a WebSocket at the same address as frames
    of JSON. Resumable: `after`, or `Last-Event-ID`."""
    after = last_event_id if last_event_id is not None else ask.after
    chosen = await wanted(runtime, ask)
    return await stream(runtime.live, chosen, after, lambda: looker(request, runtime), follow=ask.follow)


@router.websocket("/api/live")
async def live_socket(socket: WebSocket) -> None:
    await serve(socket, await runtime_of(socket))
