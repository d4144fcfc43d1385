"""`/api/incidents`, `/api/approvals`, `/api/fixes`: what happened, what waits, what was done."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from watchkeeper.domain import (
    Alert,
    Approval,
    Conflict,
    Event,
    Fix,
    Forbidden,
    Health,
    Incident,
    NotFound,
    Principal,
    Resource,
    now,
)
from watchkeeper.domain.unwatched import AGAIN, LEFT, STARTED, gaps, unwatched
from watchkeeper.handing import sentence
from watchkeeper.incidents import ACTIVE
from watchkeeper.loop import Submission
from watchkeeper.notify import report_json, report_markdown
from watchkeeper.overruling import respecting
from watchkeeper.server import elsewhere
from watchkeeper.server.chain import explained
from watchkeeper.server.openapi import REPORT
from watchkeeper.server.pages import Accepts, Wanted, form, html, incident_page
from watchkeeper.server.resources import advice
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.searching import id_or_slug, search
from watchkeeper.server.security import Approver, Here, Operator, Viewer
from watchkeeper.server.views import Decide, FixView, IncidentDetail, IncidentView, Moment, Page, Submitted, Trigger
from watchkeeper.store import fixes_beside
from watchkeeper.watch import lately

router = APIRouter(prefix="/api", tags=["incidents"])
Limit = Annotated[int, Query(ge=1, le=500)]
ALERTS, STARTS = 500, 1000
"""Of one incident, at most."""
BEGINNING = 200
NEWEST = 800
"""Events of an incident that its story is told with at once; what is left out between is told by `/api/events`."""
About = Annotated[str | None, Query(max_length=500, description="only those that touch it: a slug or an id")]


async def view(runtime: Runtime, incident: Incident) -> IncidentView:
    (made,) = await views(runtime, [incident])
    return made


async def views(runtime: Runtime, incidents: Sequence[Incident]) -> list[IncidentView]:
    """All of them with four questions to the store, not with four each."""
    if not incidents:
        return []
    keys = [one.id for one in incidents]
    alerts: dict[str | None, list[Alert]] = defaultdict(list)
    away: dict[str | None, list[Event]] = defaultdict(list)
    for alert in await runtime.store.select(Alert, incident=keys, limit=ALERTS * len(keys)):
        alerts[alert.incident].append(alert)
    for event in await runtime.store.events(kinds=(LEFT, AGAIN), incident=keys, limit=STARTS * len(keys)):
        away[event.incident].append(event)
    waits = [one.approval for one in incidents if one.approval]
    asked = {one.id: one for one in await runtime.store.select(Approval, id=waits, limit=len(waits))} if waits else {}
    since = min(one.opened_at for one in incidents)
    starts = await runtime.store.events(kinds=(STARTED,), since=since, limit=STARTS * len(keys))
    return [
        await _view(runtime, one, alerts[one.id], asked.get(one.approval or ""), [*starts, *away[one.id]])
        for one in incidents
    ]


async def _view(
    runtime: Runtime, incident: Incident, alerts: list[Alert], approval: Approval | None, away: list[Event]
) -> IncidentView:
    made = IncidentView.of(incident, alerts, approval)
    made.unwatched_seconds = round(unwatched(away, incident.opened_at, incident.closed_at or now()), 3)
    silenced = await runtime.silences.over(alerts, now()) if incident.status != "closed" else {}
    if alerts and len(silenced) == len(alerts):
        made.silenced = silenced[alerts[0].id].id
    return made


@router.get("/incidents")
async def list_incidents(
    runtime: Here,
    _: Viewer,
    status: Literal["active", "all"] = "all",
    limit: Limit = 100,
    before: Moment | None = None,
    resource: About = None,
) -> Page[IncidentView]:
    """Newest first; `before` is the cursor of the page before. Where few fit, a page may be short and yet not the last:
    only one without `next` is."""
    where: dict[str, Any] = {"status": ACTIVE} if status == "active" else {}
    about = id_or_slug(runtime, resource)

    def fits(incident: Incident) -> bool:
        return about is None or about in incident.resources

    found, following = await search(runtime, Incident, fits, limit=limit, before=before, **where)
    return Page(items=await views(runtime, found), next=following)


@router.get("/incidents/{key}")
async def show_incident(key: str, runtime: Here, _: Viewer) -> IncidentDetail:
    """The whole story: alerts, diagnosis, fixes, time line, and what it would do now."""
    incident = await runtime.store.get(Incident, key)
    events, gap = await _told(runtime, incident)
    return IncidentDetail(
        incident=await view(runtime, incident),
        fixes=[FixView.model_validate(fix) for fix in await _fixes(runtime, incident)],
        events=events,
        events_left_out_after=gap,
        changes=await _changes(runtime, incident),
        outside=await runtime.outside.of(incident),
        advice=await advice(runtime, incident)
        if runtime.sharing.held(incident.root)
        else next((s.advice for s, _ in await elsewhere.items(runtime) if s.id == incident.root), None),
    )


async def _told(runtime: Runtime, incident: Incident) -> tuple[list[Event], int | None]:
    """How it began and the newest; and where others are left out between, the last event before them."""
    first = await runtime.store.events(incident=incident.id, limit=BEGINNING)
    if len(first) < BEGINNING:
        return await _among_starts(runtime, incident, first), None
    last = first[-1].seq
    newest = await runtime.store.events(incident=incident.id, after=last, limit=NEWEST + 1, newest=True)
    told = await _among_starts(runtime, incident, [*first, *newest[-NEWEST:]])
    return told, last if len(newest) > NEWEST else None


async def _events(runtime: Runtime, incident: Incident) -> list[Event]:
    """All of it, however much that is."""
    own: list[Event] = []
    while more := await runtime.store.events(incident=incident.id, after=own[-1].seq if own else 0, limit=1000):
        own += more
    return await _among_starts(runtime, incident, own)


async def _among_starts(runtime: Runtime, incident: Incident, own: Sequence[Event]) -> list[Event]:
    """Its own events, and the starts after which nobody had watched while it was open."""
    away = await runtime.store.events(kinds=(STARTED,), since=incident.opened_at, limit=1000)
    end = incident.closed_at or now()
    return sorted((*own, *(one for one in away if gaps([one]) and one.at <= end)), key=lambda event: event.seq)


async def _fixes(runtime: Runtime, incident: Incident) -> list[Fix]:
    """Its own, and what was done by hand meanwhile to what it is about."""
    own = await runtime.store.select(Fix, incident=incident.id)
    return sorted((*own, *await fixes_beside(runtime.store, incident)), key=lambda fix: fix.started_at)


async def _changes(runtime: Runtime, incident: Incident) -> list[Event]:
    known = runtime.watch.fleet.resources
    return await lately(runtime.store, known, incident.resources, incident.opened_at, incident.closed_at)


@router.get("/incidents/{key}/report", response_model=None, responses=REPORT)
async def report(
    key: str, runtime: Here, _: Viewer, format: Wanted = None, accept: Accepts = ""
) -> Response | dict[str, Any]:
    """The report, as Markdown, JSON or one HTML page with charts."""
    incident = await explained(runtime, await runtime.store.get(Incident, key))
    parts = (
        incident,
        await runtime.store.select(Alert, incident=key),
        await _fixes(runtime, incident),
        await _events(runtime, incident),
        await _changes(runtime, incident),
    )
    wanted = form(format, accept)
    if wanted == "html":
        return html(await incident_page(runtime, *parts))
    if wanted == "json":
        return report_json(*parts)
    return PlainTextResponse(report_markdown(*parts), media_type="text/markdown; charset=utf-8")


@router.get("/approvals")
async def list_approvals(
    runtime: Here,
    _: Viewer,
    status: Literal["waiting", "all"] = "waiting",
    limit: Limit = 100,
    before: Moment | None = None,
) -> Page[Approval]:
    """What waits for a person, newest first; `before` is the cursor of the page before."""
    where: dict[str, Any] = {"status": "waiting"} if status == "waiting" else {}
    found = await runtime.store.select(Approval, limit=limit, before=before, **where)
    return Page(items=found, next=found[-1].created_at.isoformat() if len(found) == limit else None)


@router.post("/approvals/{key}/approve")
async def approve(key: str, body: Decide, runtime: Here, who: Approver) -> Approval:
    """Let a waiting plan be carried out. `key` is the approval's id or its incident's."""
    return await decide(runtime, key, who, "approved", body.note)


@router.post("/approvals/{key}/reject")
async def reject(key: str, body: Decide, runtime: Here, who: Approver) -> Approval:
    """Refuse a waiting plan; the next one, if there is one, is proposed."""
    return await decide(runtime, key, who, "rejected", body.note)


@router.post("/incidents/{key}/approve")
async def approve_incident(key: str, body: Decide, runtime: Here, who: Approver) -> Approval:
    """The same, by the incident's id."""
    return await decide(runtime, key, who, "approved", body.note)


@router.post("/incidents/{key}/reject")
async def reject_incident(key: str, body: Decide, runtime: Here, who: Approver) -> Approval:
    """The same, by the incident's id."""
    return await decide(runtime, key, who, "rejected", body.note)


async def decide(
    runtime: Runtime, key: str, who: Principal, to: Literal["approved", "rejected"], note: str
) -> Approval:
    """The one way in which anybody decides. Raises NotFound, Conflict, Forbidden."""
    approval = await _waiting(runtime, key)
    if who.kind == "agent":
        raise Forbidden("An agent never approves.")
    if to == "approved" and approval.decision.approvers and who.role not in approval.decision.approvers:
        raise Forbidden(f"A {who.role} may not approve this.", f"Ask one of: {', '.join(approval.decision.approvers)}.")
    two = any(runtime.decide.policy.needs_two(step.effect) for step in approval.plan.steps)
    if two and approval.requested_by.id == who.id and to == "approved":
        raise Forbidden("Policy wants a second person: whoever asked cannot approve.", "Ask a colleague.")
    decided = approval.decide(to, who, now(), note)
    steps = ", ".join(step.tool for step in approval.plan.steps)
    event = Event(
        f"approval.{to}",
        approval.id,
        f"{who.name} {to} {steps}" + (f": {note}" if note else ""),
        now(),
        who.id,
        incident=approval.incident,
        data={"note": note, "fix": approval.fix},
    )
    async with runtime.store.transaction() as transaction:  # whoever decides at the same moment finds it decided
        present = await runtime.store.get(Approval, approval.id)
        if present.status != "waiting" or present.expires_at <= now():
            status = present.status if present.status != "waiting" else "expired"
            raise Conflict(
                f"Approval {present.id} waits no more: it is {status}.", "`watchkeeper incidents` shows why."
            )
        await transaction.put(decided)
        await transaction.emit(event)
    if approval.incident:
        runtime.desk.wake(approval.incident)
    elif to == "approved" and runtime.sharing.held(approval.plan.resources[0]):
        await runtime.loop.approved_alone(decided)
    return decided


async def _waiting(runtime: Runtime, key: str) -> Approval:
    approval = await runtime.store.find(Approval, key)
    if approval is not None:
        return approval
    if (incident := await runtime.store.find(Incident, key)) is not None:
        if incident.approval is None:
            raise Conflict(f"Nothing waits for a person in {key}: it is {incident.status}.")
        return await runtime.store.get(Approval, incident.approval)
    raise NotFound(f"There is no approval or incident {key}.", "`watchkeeper status` shows what waits.")


def nothing_to_fix(runtime: Runtime, resource: Resource) -> Conflict:
    """No data is never called healthy."""
    watcher = runtime.watch.watchers[resource.id]
    if watcher.health is Health.UNKNOWN:
        return Conflict(
            f"Nothing is known of {resource.slug} ({watcher.state or 'no data'}): there is no fault to fix.",
            f"`watchkeeper status` and `watchkeeper logs {resource.slug}` tell more.",
        )
    standing = runtime.watch.situation((resource.id,)).alerts_of(resource.id)
    if fires := ", ".join(alert.rule for alert in standing):
        return Conflict(
            f"{resource.slug} has no incident, and nothing is known to be done about what fires there: {fires}.",
            f"`watchkeeper status` shows why it matters; `watchkeeper logs {resource.slug}` may tell more.",
        )
    return Conflict(f"Nothing is wrong with {resource.slug}: a healthy system is left alone.")


@router.post("/fixes/trigger", status_code=202, tags=["fixes"])
async def trigger(body: Trigger, runtime: Here, who: Operator) -> Submitted:
    """Do now, at a person's word, what it would do about a resource. A healthy one is left alone (409)."""
    if runtime.store.shared and not runtime.sharing.held(key := await id_of(runtime, body.resource)):
        return await elsewhere.ask(runtime, key, "trigger", body.model_dump(mode="json"), who)
    resource = runtime.watch.resource(body.resource)
    active = await runtime.store.select(Incident, status=ACTIVE)
    incident = next((i for i in active if resource.id in i.resources), None)
    if incident is None:
        raise nothing_to_fix(runtime, resource)
    if incident.open_fix:
        raise Conflict(f"{incident.id} is being fixed already ({incident.open_fix}).")
    if incident.approval:
        approval = await decide(runtime, incident.approval, who, "approved", "asked for by hand")
        return Submitted(status="running", decision=approval.decision, fix_id=approval.fix)
    at = await runtime.watch.look(incident.resources)
    if not any(alert.id in at.showing for alert in runtime.desk.firing(incident, at)):
        raise Conflict(f"A fresh look shows nothing wrong with {resource.slug}: it is left alone.")
    plan, passed = await runtime.decide.next_plan(incident.root, incident.forgetting_refusals(), at)
    if plan is None:  # what did not help before may, when a person wants it again
        plan, _ = await runtime.decide.next_plan(incident.root, incident.anew(), at)
    if plan is None:
        raise Conflict(
            sentence(f"There is nothing it could do: {'; '.join(passed) or 'no runbook knows this'}"),
            f"`watchkeeper show {incident.id}` tells all of it; `watchkeeper tools` lists what you can call yourself.",
        )
    plan = await respecting(plan, incident.forgetting_refusals(), at, runtime.store, runtime.watch, runtime.decide)
    return submitted(await runtime.loop.submit(plan, who, incident))


async def id_of(runtime: Runtime, slug: str) -> str:
    """Of a resource that may be looked at from elsewhere. Raises NotFound."""
    try:
        return runtime.watch.resource(slug).id
    except NotFound:
        return (await elsewhere.find(runtime, slug))[0].id


def submitted(submission: Submission) -> Submitted:
    said = list(submission.decision.warnings)
    if submission.approval is not None:
        return Submitted(
            status="awaiting_approval" if submission.approval.status == "waiting" else "running",
            decision=submission.decision,
            fix_id=submission.approval.fix,
            approval_id=submission.approval.id,
            expires_at=submission.approval.expires_at,
            warnings=said,
        )
    if submission.fix is not None:
        return Submitted(status="running", decision=submission.decision, fix_id=submission.fix.id, warnings=said)
    return Submitted(status="done", decision=submission.decision, output=submission.output)
