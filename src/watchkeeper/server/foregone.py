"""`/api/evaluation/proposals`: what it would have done where it might not act. `/api/evaluation/tools`: what calls of
each tool took here."""

from collections import defaultdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from watchkeeper.domain import Decision, Fix
from watchkeeper.domain.evaluation import Times, times
from watchkeeper.domain.proposal import Ending, Held, Proposal
from watchkeeper.server.incidents import Limit
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.views import Moment, Page, StepView, steps_view

router = APIRouter(prefix="/api/evaluation", tags=["evaluation"])
FIXES = 200
"""Of how many of the last fixes it is told what a call took."""
AT_ONCE = 50
"""Fixes read between two turns of everything else."""


class ProposalView(BaseModel):
    """One plan that was ready and not carried out: what policy would have said, and what then happened."""

    id: str
    incident: str
    at: datetime
    held: Held
    """Why it was not carried out: mode observe, or nobody answered."""
    author: str
    cause: str
    steps: list[StepView]
    policy: Decision
    """In mode auto."""
    after_seconds: float
    """From the first sign to the plan."""
    then: list[list[str]]
    """The tools of what would have come next, plan by plan, had that not helped."""
    history: str
    """How often the same plan healed such a resource here."""
    ending: Ending
    ended_at: datetime | None
    what: str
    """What then happened, in words."""
    needless: bool
    """It was well again by itself before the plan would have been through."""


class ToolTimes(BaseModel):
    """What calls of one tool took here, of those that ended as done; and how many did not."""

    tool: str
    seconds: Times
    not_done: int


@router.get("/proposals")
async def list_proposals(
    runtime: Here,
    _: Viewer,
    limit: Limit = 100,
    before: Moment | None = None,
    since: Annotated[Moment | None, Query(description="only those made then or later")] = None,
) -> Page[ProposalView]:
    """What it would have done, newest first; `before` is the cursor of the page before."""
    found = await runtime.store.select(Proposal, limit=limit, before=before)
    mine = [one for one in found if since is None or one.decided_at >= since]
    last = len(found) < limit or len(mine) < len(found)
    return Page(items=[_view(one) for one in mine], next=None if last else mine[-1].decided_at.isoformat())


def _view(one: Proposal) -> ProposalView:
    return ProposalView(
        id=one.id,
        incident=one.incident,
        at=one.decided_at,
        held=one.held,
        author=one.plan.author,
        cause=one.plan.diagnosis.cause if one.plan.diagnosis else "",
        steps=steps_view(one.plan),
        policy=one.policy,
        after_seconds=one.after_seconds,
        then=[[step.tool for step in plan.steps] for plan in one.then],
        history=one.history,
        ending=one.ending,
        ended_at=one.ended_at,
        what=one.what,
        needless=one.needless,
    )


@router.get("/tools")
async def tool_times(runtime: Here, _: Viewer) -> list[ToolTimes]:
    """How long calls of each tool took in the last 200 fixes here; a tool that was never called is not there."""
    took: dict[str, list[float]] = defaultdict(list)
    missed: dict[str, int] = defaultdict(int)
    before: datetime | None = None
    for _first in range(0, FIXES, AT_ONCE):
        fixes = await runtime.store.select(Fix, limit=AT_ONCE, before=before, status="closed")
        for record in (record for fix in fixes for record in fix.steps):
            if record.status == "done" and record.started_at and record.finished_at:
                took[record.tool].append((record.finished_at - record.started_at).total_seconds())
            elif record.status in ("failed", "unknown"):
                missed[record.tool] += 1
        if len(fixes) < AT_ONCE:
            break
        before = fixes[-1].started_at
    return [
        ToolTimes(tool=name, seconds=times(took.get(name, [])), not_done=missed.get(name, 0))
        for name in sorted({*took, *missed})
    ]
