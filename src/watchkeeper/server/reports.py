"""`/api/report`, `/api/drift`: what happened since a time, and what is live and not declared."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from watchkeeper.domain import Alert, Approval, Fix, Health, Incident, now
from watchkeeper.domain.drift import patches
from watchkeeper.domain.proposal import Proposal
from watchkeeper.incidents import ACTIVE
from watchkeeper.notify.morning import Blind, Morning, morning_json, morning_markdown
from watchkeeper.server.drift_views import DriftPage, PatchView, UndeclaredView
from watchkeeper.server.openapi import REPORT
from watchkeeper.server.pages import Accepts, Wanted, form, html, period_page
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.views import Moment
from watchkeeper.store.history import seen_last
from watchkeeper.watch import CHANGES, drift

router = APIRouter(prefix="/api", tags=["reports"])
MOST = 5000
"""Of each kind, the newest."""


@router.get("/report", response_model=None, responses=REPORT)
async def report_since(
    runtime: Here,
    _: Viewer,
    since: Moment | None = None,
    until: Moment | None = None,
    format: Wanted = None,
    accept: Accepts = "",
) -> Response | dict[str, Any]:
    """Incidents, what was done, what it would have done with the score, what waits, changes, what could not be seen:
    since a time (default: a day ago), as Markdown, JSON or one HTML page with charts."""
    until = until or now()
    morning = await gathered(runtime, since or until - timedelta(days=1), until)
    wanted = form(format, accept)
    if wanted == "html":
        return html(period_page(runtime, morning))
    if wanted == "json":
        return runtime.store.masker.value(morning_json(morning))
    return PlainTextResponse(morning_markdown(morning), media_type="text/markdown; charset=utf-8")


async def gathered(runtime: Runtime, since: datetime, until: datetime) -> Morning:
    """All that a report tells, oldest first."""
    store = runtime.store
    if runtime.desk.score is not None:
        await runtime.desk.score.catch_up()
    recent = await store.select(Incident, limit=MOST, before=until)
    known = {i.id: i for i in (*recent, *await store.select(Incident, status=ACTIVE))}
    touched = [i for i in known.values() if i.status != "closed" or (i.closed_at or i.opened_at) >= since]
    fixes = [f for f in await store.select(Fix, limit=MOST, before=until) if (f.finished_at or until) >= since]
    mine = {incident.id for incident in touched}
    alerts = [a for a in await store.select(Alert, limit=MOST, before=until) if a.incident in mine]
    proposals = [p for p in await store.select(Proposal, limit=MOST, before=until) if (p.ended_at or until) >= since]
    shared = runtime.store.shared  # another executor may look at what is not found here
    here = runtime.watch.fleet.resources
    left = set[str]() if shared else {i.root for i in touched if i.status != "closed" and i.root not in here}
    drifting, _, _ = await drift(store, runtime.watch.watchers)
    return Morning(
        since,
        until,
        await runtime.decide.modes.overall(),
        incidents=sorted(touched, key=lambda incident: incident.opened_at),
        fixes=fixes[::-1],
        alerts=await as_long_as_seen(runtime, alerts[::-1]),
        proposals=proposals[::-1],
        waiting=(await store.select(Approval, status="waiting"))[::-1],
        changes=await store.happened(CHANGES, since=since, until=until, limit=MOST),
        blind=blind(runtime),
        drift=[f"{one.resource}: {one.text}; `watchkeeper changes` has the patch" for one in drifting],
        names={key: resource.slug for key, resource in here.items()},
        unwatched=left,
    )


async def as_long_as_seen(runtime: Runtime, alerts: Sequence[Alert]) -> list[Alert]:
    """These alerts; of what is not watched any more how long it was unwell is known until it was seen last."""
    here = runtime.watch.fleet.resources
    left = [one for one in alerts if one.resolved_at is None and one.resource not in here]
    if not left or runtime.store.shared:  # another executor may look at it
        return [*alerts]
    seen = await seen_last(runtime.store, [one.resource for one in left])
    ends = {one.id: max(one.pending_at, seen.get(one.resource, one.pending_at)) for one in left}
    return [replace(one, resolved_at=ends[one.id]) if one.id in ends else one for one in alerts]


def blind(runtime: Runtime) -> list[Blind]:
    """What gives no data now, and what could not be looked for; what is off on purpose is not meant."""
    found = [
        Blind(watcher.resource.slug, watcher.last.error or watcher.last.state if watcher.last else "not looked at yet")
        for watcher in runtime.watch.watchers.values()
        if watcher.health is Health.UNKNOWN and not (watcher.last and watcher.last.off)
    ]
    problems = dict(runtime.watch.fleet.problems) | dict(runtime.registry.broken)
    return found + [Blind(name, why.splitlines()[0]) for name, why in problems.items() if why]


@router.get("/drift")
async def what_drifts(runtime: Here, _: Viewer) -> DriftPage:
    """What is live and not in the declared configuration (compose file, redis.conf), with patches that declare it."""
    found, edits, silent = await drift(runtime.store, runtime.watch.watchers)
    made = patches(edits, runtime.store.masker.hides)
    return DriftPage(
        items=[UndeclaredView(**asdict(one), text=one.text) for one in found],
        patches=[PatchView(**asdict(one)) for one in made],
        silent=silent,
    )
