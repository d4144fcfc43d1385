"""The console: the built pages of `web/`, and what they alone ask for."""

import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import structlog
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from watchkeeper.domain import Event, NotFound, Principal, now
from watchkeeper.server import elsewhere
from watchkeeper.server.resources import watcher_of
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.views import Moment, Page
from watchkeeper.store.curve import curve, thinned
from watchkeeper.watch import CHANGES

router = APIRouter(tags=["console"])
log = structlog.get_logger(__name__)
FILES = Path(__file__).with_name("console")
"""What `npm run build` in `web/` writes; part of the wheel."""
PAGES = (
    "alerts",
    "approvals",
    "chat",
    "failures",
    "fixes",
    "incidents",
    "interactions",
    "map",
    "resources",
    "runbooks",
    "settings",
    "tools",
    "validation",
)
"""The first part of each address that is a page of the console: `web/src/router.tsx` has the same."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NONCE = "__NONCE__"
TOLD = ("alert.firing", "alert.resolved", "fix.step.done", "fix.step.failed", "incident.opened", "incident.closed")
"""What happens to a resource and is worth a mark beside its readings; and whatever changed about it."""
_LACKING = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>Watchkeeper</title>"
    "<h1>The console is not built here</h1>"
    "<p>What happened: this Watchkeeper runs from its sources, and the pages in <code>web/</code> were not built."
    "<p>What to do: install Node.js 20.19 or newer and run <code>make setup</code>. "
    "Everything else works: <code>watchkeeper status</code>, <a href='/docs'>the API</a>.</html>"
)


class CurvePoint(BaseModel):
    """One look. What it did not give is not in it; `error` where it failed."""

    at: datetime
    metrics: dict[str, float]
    error: str | None = None


class CurveView(BaseModel):
    """Readings for a chart, oldest first; `of`: from how many they were picked, evenly."""

    points: list[CurvePoint]
    of: int


@router.get("/api/me")
async def show_me(who: Viewer) -> Principal:
    """Whose token it is; `anybody`, a viewer, without one."""
    return who


@router.get("/api/resources/{slug}/curve", tags=["resources"])
async def show_curve(
    slug: str,
    runtime: Here,
    _: Viewer,
    metric: Annotated[list[str] | None, Query()] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    points: Annotated[int, Query(ge=2, le=1000)] = 300,
) -> CurveView:
    """For charts: what was read since a time (default: fifteen minutes ago), thinned to so many looks; of all metrics,
    or of those asked for."""
    watcher = watcher_of(runtime, slug)
    key = watcher.resource.id if watcher else (await elsewhere.find(runtime, slug))[0].id
    end = until or now()
    begin = since or end - timedelta(minutes=15)
    ring = [reading for reading in watcher.ring if begin <= reading.at <= end] if watcher else []
    kept, of = await curve(runtime.store, key, begin, ring[0].at if ring else end, most=points)
    readings = {reading.at: reading for reading in (*kept, *ring)}
    wanted = set(metric) if metric else None
    return CurveView(
        points=[
            CurvePoint(
                at=at,
                metrics={
                    name: value for name, value in readings[at].metrics.items() if wanted is None or name in wanted
                },
                error=readings[at].error,
            )
            for at in thinned(sorted(readings), [], points)
        ],
        of=of + len(ring),
    )


@router.get("/api/resources/{slug}/events", tags=["resources"])
async def show_events(
    slug: str,
    runtime: Here,
    _: Viewer,
    since: Moment | None = None,
    until: Moment | None = None,
    before: Annotated[int | None, Query(ge=0, le=2**62, description="the `next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Page[Event]:
    """What happened to a resource, and changed about it or about what it runs on, since a time (default: a day ago):
    alerts, steps of fixes, incidents, configuration, restarts. Newest first."""
    watcher = watcher_of(runtime, slug)
    found = watcher.resource if watcher else (await elsewhere.find(runtime, slug))[1]
    about = [found.id, *([found.runs_on] if found.runs_on else [])]
    begin = since or (until or now()) - timedelta(days=1)
    told = await runtime.store.happened(
        (*TOLD, *CHANGES), since=begin, until=until, resources=about, before=before, limit=limit
    )
    return Page(items=told[::-1], next=str(told[0].seq) if len(told) == limit else None)


class Assets(StaticFiles):
    """Files whose name changes with what is in them: a browser need not ask for one again."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer

    async def get_response(self, path: str, scope: Scope) -> Response:
        if Path(path).suffix not in (".js", ".css", ".svg", ".woff2"):
            raise NotFound(f"There is no file /assets/{path}.")
        return await super().get_response(path, scope)


def page(status: int = 200) -> HTMLResponse:
    """The page that is all pages: it reads the address itself."""
    try:
        text = (FILES / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        return HTMLResponse(_LACKING, 503)
    nonce = secrets.token_urlsafe(16)
    policy = _POLICY.format(nonce=nonce)
    headers = {"Content-Security-Policy": policy, "Vary": "Accept"}
    return HTMLResponse(text.replace(_NONCE, nonce), status, headers=headers)


async def _icon(_: Request) -> Response:
    return FileResponse(FILES / "icon.svg") if (FILES / "icon.svg").is_file() else Response(status_code=404)


async def _deep(_: Request) -> HTMLResponse:
    return page()


def install(app: FastAPI) -> None:
    """Its pages and files, beside the API."""
    app.add_route("/icon.svg", _icon, include_in_schema=False)
    for name in PAGES:
        app.add_route(f"/{name}", _deep, include_in_schema=False)
        app.add_route(f"/{name}/{{rest:path}}", _deep, include_in_schema=False)
    app.mount("/assets", GZipMiddleware(Assets(directory=FILES / "assets", check_dir=False), minimum_size=1000))
