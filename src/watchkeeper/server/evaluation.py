"""`/api/evaluation`: how well it did, and what it would have done where it might not act."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel

from watchkeeper.domain import Alert, Fix, Incident, Reading, now
from watchkeeper.domain.evaluation import Bucket, Group, Rate, Times, evaluate
from watchkeeper.domain.proposal import Proposal, Score, score
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.views import Moment

router = APIRouter(prefix="/api", tags=["evaluation"])
USUALLY = timedelta(days=30)
MOST = 5000
"""Fixes, and incidents, that are looked through; what is older is left out, and said to be."""
AT_ONCE = 100
"""Rows read between two turns of everything else."""
SHOWN = 50
"""Fixes of which before and after are given."""
E = TypeVar("E", Incident, Fix, Proposal)


class BeforeAfter(BaseModel):
    """One fix: what mattered before it, and after."""

    id: str
    at: datetime
    author: str
    resource: str
    outcome: str
    seconds: float | None
    metric: str | None
    before: float | None
    after: float | None
    why: list[str]


class EvaluationView(BaseModel):
    """Seconds are told with how many they come from. `stopped`, `refused`, `hindered` (by another fault) and
    `taken_back` count in no rate."""

    since: datetime
    until: datetime
    bucket: Bucket
    fixes: Rate
    seconds: dict[str, Times]
    incidents: dict[str, int]
    """By how they ended, or how they stand."""
    stopped: int
    refused: int
    hindered: int = 0
    taken_back: int
    over_time: list[Group]
    by: dict[str, list[Group]]
    """By `author`, `tool`, `rule`, `resource` and `environment`."""
    observed: Score
    """What it would have done where it might not act, and what then happened."""
    before_after: list[BeforeAfter]
    left_out: list[str]


@router.get("/evaluation")
async def evaluation(
    runtime: Here,
    _: Viewer,
    since: Annotated[Moment | None, Query(description="default: 30 days before `until`")] = None,
    until: Annotated[Moment | None, Query(description="default: now")] = None,
    bucket: Bucket = "day",
    archived: Annotated[bool, Query(description="with fixes that were archived")] = False,
) -> EvaluationView:
    """Success, and the times to detect, decide, act, verify and repair: over time, by author, tool, rule, resource and
    environment."""
    end = until or now()
    begin = since if since is not None else _earlier(end)
    where: dict[str, Any] = {} if archived else {"archived": None}
    fixes, older_fixes = await _all(runtime, Fix, begin, end, **where)
    incidents, older = await _all(runtime, Incident, begin, end)
    proposals, _older = await _all(runtime, Proposal, begin, end)
    alerts = await _alerts(runtime, [fix.incident for fix in fixes if fix.incident])
    found = await asyncio.to_thread(evaluate, incidents, fixes, alerts, bucket)
    cut = {"fixes": older_fixes, "incidents": older}
    left_out = [f"{what} from before the newest {MOST}" for what, more in cut.items() if more]
    left_out += [f"before and after of all but the newest {SHOWN} fixes"] if len(fixes) > SHOWN else []
    return EvaluationView(
        since=begin,
        until=end,
        bucket=bucket,
        fixes=found.fixes,
        seconds=dict(found.seconds.items()),
        incidents=dict(found.incidents),
        stopped=found.stopped,
        refused=found.refused,
        hindered=found.hindered,
        taken_back=found.taken_back,
        over_time=list(found.over_time),
        by={name: list(groups) for name, groups in found.by.items()},
        observed=score(proposals, now()),
        before_after=[_before_after(runtime, fix, alerts) for fix in fixes[:SHOWN]],
        left_out=left_out,
    )


def _earlier(end: datetime) -> datetime:
    try:
        return end - USUALLY
    except OverflowError:
        return end


async def _all(runtime: Runtime, kind: type[E], since: datetime, until: datetime, **where: Any) -> tuple[list[E], bool]:
    """Those of a time, newest first, and whether there are more than are looked through."""
    found: list[E] = []
    before: datetime = until
    while len(found) < MOST:
        page = await runtime.store.select(kind, limit=AT_ONCE, before=before, **where)
        mine = [one for one in page if _at(one) >= since]
        found += mine
        if len(mine) < AT_ONCE:
            return found, False
        before = _at(page[-1])
    return found, True


def _at(one: Incident | Fix | Proposal) -> datetime:
    if isinstance(one, Incident):
        return one.opened_at
    return one.started_at if isinstance(one, Fix) else one.decided_at


async def _alerts(runtime: Runtime, incidents: list[str]) -> list[Alert]:
    keys, found = list(dict.fromkeys(incidents)), list[Alert]()
    for first in range(0, len(keys), AT_ONCE):
        found += await runtime.store.select(Alert, incident=keys[first : first + AT_ONCE], limit=MOST)
    return found


def _before_after(runtime: Runtime, fix: Fix, alerts: list[Alert]) -> BeforeAfter:
    root = fix.plan.resources[0]
    fired = next((alert.rule for alert in alerts if alert.incident == fix.incident and alert.resource == root), None)
    name = next((rule.metric for rule in runtime.watch.rules if rule.id == fired and rule.metric), None)
    name = name or _usual(runtime, root)
    seen = fix.verdict.after if fix.verdict is not None else ()
    ended = fix.finished_at
    return BeforeAfter(
        id=fix.id,
        at=fix.started_at,
        author=fix.plan.author,
        resource=root,
        outcome=fix.said,
        seconds=round((ended - fix.started_at).total_seconds(), 3) if ended is not None else None,
        metric=name,
        before=_figure(fix.before.get(root), name),
        after=_figure(seen[-1] if seen else None, name),
        why=list(fix.verdict.reasons) if fix.verdict is not None else [],
    )


def _usual(runtime: Runtime, resource: str) -> str | None:
    watcher = runtime.watch.watchers.get(resource)
    return (watcher.connector.metric or None) if watcher is not None else None


def _figure(reading: Reading | None, name: str | None) -> float | None:
    return reading.metrics.get(name) if reading is not None and name is not None else None
