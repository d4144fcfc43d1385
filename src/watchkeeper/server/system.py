"""The live feed, pause and resume, and how the server itself is."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, TypeAdapter

from watchkeeper import __version__
from watchkeeper.decide import PAUSED
from watchkeeper.domain import Event, Incident, now
from watchkeeper.incidents import ACTIVE
from watchkeeper.server.live import EventsWanted
from watchkeeper.server.live.stream import Feed, stream
from watchkeeper.server.openapi import EVENTS, MEDIA
from watchkeeper.server.pulse import stuck
from watchkeeper.server.security import Here, Operator, Viewer, looker
from watchkeeper.server.views import Page

router = APIRouter(tags=["system"])


@router.get(
    "/api/events",
    response_model=Page[Event],
    responses={200: {"content": {MEDIA: EVENTS}}},
)
async def events(
    request: Request,
    runtime: Here,
    _: Viewer,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    incident: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**62)] = None,
) -> Feed | JSONResponse:
    """The history: a page of it, or with `Accept: text/event-stream` a stream that goes on, resumable by `after` or
    `Last-Event-ID`. Without either the stream begins with what comes next."""
    if "text/event-stream" in request.headers.get("accept", ""):
        start = last_event_id if last_event_id is not None else after
        wanted = EventsWanted(incident=incident)
        return await stream(runtime.live, wanted, start, lambda: looker(request, runtime))
    found = await runtime.store.events(after=after or 0, incident=incident, limit=limit, newest=after is None)
    page = Page(items=found, next=str(found[-1].seq) if found else None)
    return JSONResponse(TypeAdapter(Page[Event]).dump_python(page, mode="json"))


@router.post("/api/pause")
async def pause(runtime: Here, who: Operator) -> dict[str, str]:
    """Stop all action, at once: it is read before every step. Looking goes on."""
    async with runtime.store.transaction() as transaction:
        await transaction.set(PAUSED, {"by": who.name, "at": now().isoformat()})
        await transaction.emit(Event("paused", "watchkeeper", f"all action is paused by {who.name}", now(), who.id))
    return {"status": "paused"}


@router.post("/api/resume")
async def resume(runtime: Here, who: Operator) -> dict[str, str]:
    """Go on."""
    async with runtime.store.transaction() as transaction:
        await transaction.set(PAUSED, None)
        await transaction.emit(Event("resumed", "watchkeeper", f"{who.name} lets it go on", now(), who.id))
    await runtime.desk.wake_all()
    return {"status": "running"}


class HealthView(BaseModel):
    """Whether it answers and goes on looking."""

    status: Literal["ok", "stuck"]
    version: str
    problems: list[str]


class ReadinessView(BaseModel):
    """Whether it does its work; `waiting`: what was not looked at yet."""

    status: Literal["ready", "waiting", "unwell"]
    waiting: list[str]
    problems: list[str]


@router.get("/healthz", response_model=HealthView, responses={503: {"model": HealthView, "description": "It is stuck"}})
async def healthz(runtime: Here) -> JSONResponse:
    """200 while the process answers and goes on looking and searching; 503 where it is stuck: a restart may help."""
    found = stuck(runtime)
    content = {"status": "stuck" if found else "ok", "version": __version__, "problems": list(found)}
    return JSONResponse(content, 503 if found else 200)


@router.get(
    "/readyz", response_model=ReadinessView, responses={503: {"model": ReadinessView, "description": "Not now"}}
)
async def readyz(runtime: Here) -> JSONResponse:
    """200 once everything found has been looked at once, while it works; 503 before, and where it is stuck, the store
    cannot be written, or another executor has taken over."""
    waiting = [w.resource.slug for w in runtime.watch.watchers.values() if w.last is None]
    full = [runtime.store.problem] if runtime.store.problem else []
    found = list(dict.fromkeys((*full, *stuck(runtime), *runtime.unwell)))
    status = "unwell" if found else "waiting" if waiting else "ready"
    return JSONResponse({"status": status, "waiting": waiting, "problems": found}, 200 if status == "ready" else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(runtime: Here) -> PlainTextResponse:
    """Our own figures for Prometheus."""
    runtime.metrics.resources.clear()
    for watcher in runtime.watch.watchers.values():
        runtime.metrics.resources.labels(watcher.resource.kind, watcher.health.value).inc()
    runtime.metrics.incidents.set(len(await runtime.store.select(Incident, status=ACTIVE)))
    runtime.metrics.live_clients.set(runtime.live.followers + runtime.live_logs.followers)
    runtime.metrics.store_writable.set(runtime.store.problem is None)
    runtime.metrics.readings_waiting.set(runtime.watch.keeping.waiting)
    runtime.metrics.readings_dropped.set(runtime.watch.keeping.dropped)
    return PlainTextResponse(runtime.metrics.text(), media_type="text/plain; version=0.0.4")
