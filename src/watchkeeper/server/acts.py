"""What people do about incidents and fixes: acknowledge, stop, try again, take back, hand over, close, archive."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.domain import Approval, Conflict, Event, Fix, Incident, Principal, Said, WatchkeeperError, now
from watchkeeper.loop import Submission
from watchkeeper.server import elsewhere
from watchkeeper.server.incidents import id_of, submitted, view
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Admin, Here, Operator
from watchkeeper.server.views import IncidentView, Moment, Submitted

router = APIRouter(prefix="/api", tags=["incidents"])
LONGEST_NOTE = 1000
AT_ONCE = 500
"""Fixes archived in one transaction."""
LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": IncidentView, "description": "It is so as soon as the step at work has ended: see `waits_for`"}
}


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=LONGEST_NOTE)


class Close(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: str = Field(min_length=1, max_length=LONGEST_NOTE)
    """What was done, or why there is nothing to do: the report says so."""


class StopIt(Note):
    undo: bool = False
    """Whether what was done is taken back, where it has an undo; else it is left as it is."""


class Archived(BaseModel):
    """How many fixes lists leave out from now on. Nothing is erased."""

    archived: int


@router.post("/incidents/{key}/acknowledge")
async def acknowledge(key: str, body: Note, runtime: Here, who: Operator) -> IncidentView:
    """Say that you look after it: people are told so. The loop goes on."""
    return await view(runtime, await runtime.loop.people.acknowledge(key, who, body.note))


@router.post("/incidents/{key}/stop")
async def stop(key: str, body: StopIt, runtime: Here, who: Operator) -> IncidentView:
    """Let the fix that is at work begin no further step, and leave the incident to people."""
    return await view(runtime, await runtime.loop.people.stop(key, who, body.note, undo=body.undo))


@router.post("/incidents/{key}/retry")
async def retry(key: str, body: Note, runtime: Here, who: Operator) -> IncidentView:
    """Let the loop try again: also what failed, was refused, or was left to people."""
    return await view(runtime, await runtime.loop.people.retry(key, who, body.note))


@router.post("/incidents/{key}/escalate", responses=LATER)
async def escalate(key: str, body: Note, runtime: Here, who: Operator, answer: Response) -> IncidentView:
    """Hand it to people: now, or where a fix is at work as soon as the step that was begun has ended, which is 202."""
    return await _said(runtime, await runtime.loop.people.escalate(key, who, body.note), answer)


@router.post("/incidents/{key}/close", responses=LATER)
async def close(key: str, body: Close, runtime: Here, who: Operator, answer: Response) -> IncidentView:
    """End it by hand, as `by_human`: now, or where a fix is at work as soon as the step that was begun has ended, which
    is 202. A note says why."""
    return await _said(runtime, await runtime.loop.people.close(key, who, body.note), answer)


async def _said(runtime: Runtime, incident: Incident, answer: Response) -> IncidentView:
    answer.status_code = 202 if incident.waits_for else 200
    return await view(runtime, incident)


@router.post("/incidents/{key}/undo", status_code=202)
async def undo(key: str, body: Note, runtime: Here, who: Operator) -> Submitted:
    """Take back its last fix that changed something."""
    incident = await runtime.store.get(Incident, key)
    fixes = await runtime.store.select(Fix, incident=key)
    last = next((fix for fix in fixes if any(record.status in ("done", "unknown") for record in fix.steps)), None)
    if last is None:
        raise Conflict(f"Nothing was changed in {incident.id}.", f"`watchkeeper show {key}` tells all of it.")
    return await undo_fix(last.id, body, runtime, who)


@router.post("/fixes/{key}/stop", tags=["fixes"])
async def stop_fix(key: str, body: StopIt, runtime: Here, who: Operator) -> Fix:
    """Let it begin no further step. What it belongs to is left to people."""
    return await runtime.loop.people.stop_fix(key, who, body.note, undo=body.undo)


@router.post("/fixes/{key}/undo", status_code=202, tags=["fixes"])
async def undo_fix(key: str, body: Note, runtime: Here, who: Operator) -> Submitted:
    """Take back a fix that is over: a fix like any other, judged by the same policy and proven the same way."""
    fix = await runtime.store.get(Fix, key)
    resource = fix.plan.resources[0]
    if runtime.store.shared and not runtime.sharing.held(await id_of(runtime, resource)):
        return await elsewhere.ask(runtime, resource, "undo", {"key": key, "note": body.note}, who)
    return await take_back(runtime, key, body.note, who)


class Undoable(BaseModel):
    """Whether a fix would be taken back now, were that asked for."""

    possible: bool
    reason: str
    """Why not; else what of it would stay, or who would be asked first. May be empty."""


@router.get("/fixes/{key}/undo", tags=["fixes"])
async def can_undo(key: str, runtime: Here, who: Operator) -> Undoable:
    """Whether it would be taken back now, by the same conditions; nothing is changed."""
    fix = await runtime.store.get(Fix, key)
    if runtime.store.shared and not runtime.sharing.held(await id_of(runtime, fix.plan.resources[0])):
        return Undoable(possible=False, reason="What it changed is looked at by another executor.")
    if await runtime.loop.undoing.under_way(key):
        return Undoable(possible=False, reason="It is taken back already, or that waits for a person.")
    try:
        found = await runtime.loop.undoing.plan(key, who)
        decision = await runtime.loop.would(found.plan, who)
    except WatchkeeperError as problem:
        return Undoable(possible=False, reason=problem.what)
    asked = (f"it waits for another person: {decision.reason}",) if decision.outcome == "ask" else ()
    reason = decision.reason if decision.outcome == "deny" else "; ".join((*asked, *found.stays))
    return Undoable(possible=decision.outcome != "deny", reason=reason)


async def take_back(runtime: Runtime, key: str, note: str, who: Principal) -> Submitted:
    """By the executor that holds what it changed."""
    known = await runtime.loop.undoing.under_way(key)
    if known is not None:
        waiting = known if isinstance(known, Approval) else None
        at_work = known if isinstance(known, Fix) else None
        return submitted(Submission(known.decision, at_work, waiting))
    found = await runtime.loop.undoing.plan(key, who, note)
    answer = submitted(await runtime.loop.submit(found.plan, who))
    return answer.model_copy(update={"warnings": [*answer.warnings, *found.stays]})


@router.delete("/fixes", tags=["fixes"])
async def archive(
    runtime: Here,
    who: Admin,
    before: Annotated[Moment | None, Query(description="only those begun before it")] = None,
    resource: Annotated[str | None, Query(description="only those that touched it: a slug or an id")] = None,
) -> Archived:
    """Archive the fixes that are over: lists leave them out, unless asked for with `archived=true`. They can be read by
    their ids as before, and the history of events is never touched."""
    about = resource if resource is None or "/" in resource else await id_of(runtime, resource)
    said, count, older = Said(who.id, now()), 0, before
    while True:
        found = await runtime.store.select(Fix, limit=AT_ONCE, before=older, status="closed", archived=None)
        if not found:
            break
        chosen = [fix for fix in found if about is None or about in fix.plan.resources]
        async with runtime.store.transaction() as transaction:
            for fix in chosen:
                await transaction.put(replace(fix, archived=said))
        count, older = count + len(chosen), found[-1].started_at
    if count:
        which = f" of {resource}" if resource else ""
        which += f" from before {before:%Y-%m-%d %H:%M} UTC" if before else ""
        data: dict[str, object] = {"count": count, "before": before.isoformat() if before else None}
        text = f"{who.name} archives {count} fixes{which}"
        await runtime.store.emit(Event("fixes.archived", "fixes", text, now(), who.id, resource=about, data=data))
    return Archived(archived=count)
