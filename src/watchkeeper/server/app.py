"""The FastAPI application."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Route

from watchkeeper import __version__
from watchkeeper.decide import Access
from watchkeeper.server import (
    acts,
    chain,
    chat,
    connectors,
    console,
    deciding,
    drafts,
    evaluation,
    fixes,
    foregone,
    front,
    incidents,
    ingest,
    lab,
    llm,
    logs,
    map,
    model_drift,
    model_rows,
    models,
    modes,
    notify,
    policy,
    problems,
    resources,
    rules,
    runbooks,
    silences,
    slack,
    still,
    submitting,
    system,
    templates,
    tokens,
    tools,
)
from watchkeeper.server.elsewhere import Clerk
from watchkeeper.server.limits import Limiter
from watchkeeper.server.live.routes import router as live
from watchkeeper.server.mcp import Gate
from watchkeeper.server.openapi import ABOUT, RESPONSES, Api, operation_id
from watchkeeper.server.operations import operations
from watchkeeper.server.reports import router as reports
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Doorkeeper
from watchkeeper.server.sharing import Shared
from watchkeeper.server.tagging import Tagger

ROUTERS = (
    map.router,
    resources.router,
    templates.router,
    incidents.router,
    fixes.router,
    chain.router,
    deciding.router,
    acts.router,
    evaluation.router,
    foregone.router,
    drafts.router,  # before runbooks, which takes any name for one's
    runbooks.router,
    tools.router,
    policy.router,
    rules.router,
    connectors.router,
    still.router,
    silences.router,
    notify.router,
    slack.router,
    ingest.router,
    logs.router,
    llm.router,
    chat.router,
    submitting.router,
    models.router,
    model_rows.router,
    model_drift.router,
    tokens.router,
    lab.router,
    modes.router,
    console.router,
    system.router,
    front.router,
    reports,
    live,
)
"""The operations of the API. A path of one word is taken before one of any word."""


def access(path: Path | None) -> Access:
    """Who may what, with an operator's own policies. Raises ConfigurationError where they do not fit."""
    return Access(path, operations(ROUTERS))


@cache
def _routes() -> list[BaseRoute]:
    """Of every operation, the same for every app of a process: what FastAPI finds out of each when it is first asked is
    found out once."""
    together = APIRouter(responses=RESPONSES, generate_unique_id_function=operation_id)
    for router in ROUTERS:
        together.include_router(router)
    return together.routes


def create_app(runtime: Runtime) -> FastAPI:
    """The API over a running system."""
    app = Api(title="Watchkeeper", version=__version__, description=ABOUT, docs_url=None, redoc_url=None)
    runtime.access = access(runtime.settings.policy.access)
    app.state.runtime = runtime
    if isinstance(runtime.sharing, Shared):
        runtime.sharing.serve = Clerk(runtime).serve
    problems.install(app, lambda: console.page(404))
    app.state.limiter = Limiter(runtime.settings.server.limits)
    app.add_middleware(Tagger)
    app.add_middleware(Doorkeeper, settings=runtime.settings.server, limiter=app.state.limiter)
    app.router.routes.extend(_routes())
    console.install(app)
    app.router.routes.insert(0, Route("/mcp", Gate(runtime), include_in_schema=False))
    return app
