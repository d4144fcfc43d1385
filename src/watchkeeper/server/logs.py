"""`/api/logs`: the log lines kept, of everything, searched and followed."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from watchkeeper.domain import Level
from watchkeeper.server import elsewhere
from watchkeeper.server.live.asking import FARTHEST, MOST, Name
from watchkeeper.server.live.lines import LinesWanted, LineView, view
from watchkeeper.server.live.routes import LastEventId
from watchkeeper.server.live.stream import Feed, stream
from watchkeeper.server.openapi import EVENTS, MEDIA
from watchkeeper.server.resources import watcher_of
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Viewer, looker
from watchkeeper.server.views import Moment, Page

router = APIRouter(tags=["logs"])
GRAVE: dict[Level, tuple[Level, ...]] = {
    "WARNING": ("WARNING", "ERROR", "CRITICAL"),
    "ERROR": ("ERROR", "CRITICAL"),
    "CRITICAL": ("CRITICAL",),
}
_PAGE = TypeAdapter(Page[LineView])
Number = Annotated[int | None, Query(ge=0, le=FARTHEST)]


@router.get(
    "/api/logs", response_model=Page[LineView], responses={200: {"content": {MEDIA: EVENTS}}}, summary="Search the logs"
)
async def search(
    request: Request,
    runtime: Here,
    _: Viewer,
    resource: Annotated[
        list[Name] | None,
        Query(
            max_length=MOST, description="by slug or id, with what they run on and what runs on them; without it: all"
        ),
    ] = None,
    level: Annotated[Literal["WARNING", "ERROR", "CRITICAL"], Query(description="this level and worse")] = "WARNING",
    text: Annotated[str, Query(max_length=300, description="what a line holds, in letters of either case")] = "",
    since: Moment | None = None,
    until: Moment | None = None,
    before: Number = None,
    after: Number = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    last_event_id: LastEventId = None,
) -> Feed | JSONResponse:
    """The log lines kept (WARNING and worse), newest first; `before` is the `next` of the page before. With `Accept:
    text/event-stream` they are followed, from `after` or `Last-Event-ID` on, else from now."""
    keys = await _keys(runtime, resource or ())
    if MEDIA in request.headers.get("accept", ""):
        wanted = LinesWanted(GRAVE[level], frozenset(keys) if keys is not None else None, text)
        start = last_event_id if last_event_id is not None else after
        return await stream(runtime.live_logs, wanted, start, lambda: looker(request, runtime))
    found = await runtime.store.search_logs(
        text=text,
        resources=keys,
        levels=GRAVE[level],
        since=since,
        until=until,
        before=before,
        after=after,
        limit=limit + 1,
    )
    given = [view(seq, line) for seq, line in found[:limit]]
    page = Page(items=given, next=str(given[-1].seq) if len(found) > limit else None)
    return JSONResponse(_PAGE.dump_python(page, mode="json"))


async def _keys(runtime: Runtime, names: Sequence[str]) -> list[str] | None:
    """Of the resources, of what they run on and of what runs on them, for these have one log; None: of all. Raises
    NotFound."""
    if not names:
        return None
    keys: list[str] = []
    for name in names:
        watcher = watcher_of(runtime, name)
        found = watcher.resource if watcher else (await elsewhere.find(runtime, name))[1]
        on_it = [one.id for one in runtime.watch.fleet.resources.values() if one.runs_on == found.id]
        keys += [found.id, *on_it, *([found.runs_on] if found.runs_on else [])]
    return keys
