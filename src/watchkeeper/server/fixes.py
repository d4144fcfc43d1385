"""`/api/fixes`: what was done, however long ago."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from watchkeeper.domain import Fix
from watchkeeper.server.incidents import About, Limit
from watchkeeper.server.searching import id_or_slug, search
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.views import FixView, Moment, Page

router = APIRouter(prefix="/api", tags=["fixes"])
Said = Literal[
    "healed",
    "still well",
    "recovered",
    "not healed",
    "not tried",
    "inconclusive",
    "running",
    "executed",
    "undoing",
    "closed",
]
"""As in `said` of each."""


@router.get("/fixes")
async def list_fixes(
    runtime: Here,
    _: Viewer,
    limit: Limit = 100,
    before: Moment | None = None,
    since: Annotated[Moment | None, Query(description="only those begun then or later")] = None,
    resource: About = None,
    author: Annotated[str | None, Query(max_length=200, description="only plans of this author")] = None,
    tool: Annotated[str | None, Query(max_length=200, description="only plans with a step of this tool")] = None,
    verdict: Annotated[Said | None, Query(description="how it ended, or how far it is")] = None,
    archived: Annotated[bool, Query(description="those that were archived, too")] = False,
) -> Page[FixView]:
    """Newest first; `before` is the cursor of the page before. Where few fit, a page may be short and yet not the last:
    only one without `next` is."""
    where: dict[str, Any] = {} if archived else {"archived": None}
    about = id_or_slug(runtime, resource)

    def fits(fix: Fix) -> bool:
        return (
            (about is None or about in fix.plan.resources)
            and (author is None or fix.plan.author == author)
            and (tool is None or any(step.tool == tool for step in fix.plan.steps))
            and (verdict is None or verdict == fix.said)
        )

    found, following = await search(runtime, Fix, fits, limit=limit, before=before, since=since, **where)
    return Page(items=[FixView.model_validate(fix) for fix in found], next=following)


@router.get("/fixes/{key}")
async def show_fix(key: str, runtime: Here, _: Viewer) -> FixView:
    """One fix: plan, decision, steps, undo, verdict."""
    return FixView.model_validate(await runtime.store.get(Fix, key))
