"""`/` and `/docs`: what there is to ask for. Nothing is loaded from elsewhere."""

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request
from fastapi.responses import HTMLResponse, JSONResponse

from watchkeeper import __version__
from watchkeeper.server import console

router = APIRouter(include_in_schema=False)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td{padding:.2rem 1rem .2rem 0;vertical-align:top}"
    "code{font-size:14px;white-space:nowrap}"
)


@router.get("/", response_model=None)
async def front(accept: Annotated[str, Header()] = "") -> HTMLResponse | JSONResponse:
    """The console for a browser; for others, where to go on."""
    if "text/html" in accept:
        return console.page()
    return JSONResponse(_ways(), headers={"Vary": "Accept"})


def _ways() -> dict[str, str]:
    return {
        "watchkeeper": __version__,
        "status": "/api/resources/status",
        "incidents": "/api/incidents",
        "approvals": "/api/approvals",
        "events": "/api/events",
        "report": "/api/report",
        "models": "/api/models",
        "health": "/healthz",
        "readiness": "/readyz",
        "metrics": "/metrics",
        "mcp": "/mcp",
        "docs": "/docs",
        "openapi": "/openapi.json",
    }


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Every path with what it does."""
    return HTMLResponse(_page(request.app))


def _page(app: FastAPI) -> str:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    rows = [
        f"<tr><td><code>{escape(method.upper())}</code><td><code>{escape(path)}</code>"
        f"<td>{escape(said.get('description') or said.get('summary') or '')}"
        for path, methods in paths.items()
        for method, said in methods.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Watchkeeper {__version__}: API</title>'
        f"<style>{_STYLE}</style><h1>Watchkeeper {__version__}: API</h1>"
        '<p><a href="/openapi.json">/openapi.json</a> has every field, for any tool that reads OpenAPI. '
        "Changes need the header <code>Authorization: Bearer TOKEN</code>.</p>"
        f"<table>{''.join(rows)}</table></html>"
    )
