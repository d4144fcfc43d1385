"""For agents that act: a plan handed in at the one entrance, and what became of it."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.decide import LEFT
from watchkeeper.domain import Approval, Conflict, Diagnosis, Effect, Event, Fix, Incident, NotFound, Plan, now, tool
from watchkeeper.loop import Submission
from watchkeeper.server.incidents import id_of
from watchkeeper.server.incidents import submitted as answer_of
from watchkeeper.server.mcp.answers import Answer, FixView, Step, Submitted
from watchkeeper.server.mcp.asking import asked_before
from watchkeeper.server.mcp.call import Call
from watchkeeper.server.mcp.calling import submitted, writing
from watchkeeper.server.mcp.listing import worst

BEAT = 1.0
"""Seconds after which a fix is looked at again although nothing was told of it."""
REMEMBERED = 500
"""Approvals among which one is sought by the fix it is for."""


class WantedStep(BaseModel):
    """One call of one tool."""

    model_config = ConfigDict(extra="forbid")
    tool: Annotated[str, MaxLen(200)]
    resource: Annotated[str, MaxLen(300)]
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    why: Annotated[str, MaxLen(500)] = ""


@tool(Effect.DESTRUCTIVE)
async def submit_plan(
    call: Call,
    steps: Annotated[list[WantedStep], MinLen(1), MaxLen(5)],
    cause: Annotated[str, MinLen(1), MaxLen(1000)],
    incident: Annotated[str, MaxLen(100)] = "",
) -> Submitted:
    """Hand in a plan of several steps, gentlest first, with the cause it is for, and the id of the incident it is to
    end. It is judged by the same policy as any other, carried out in order as one fix, proven by readings and probe,
    and undone where it did not help. What you hand in may wait for a person: see fix_status."""
    runtime = call.runtime
    about = await _about(call, incident, steps) if incident else None
    for step in steps:
        if worst(runtime.decide.tool(step.tool)) is not Effect.READ:
            writing(runtime, step.tool)
        if runtime.store.shared and not runtime.sharing.held(await id_of(runtime, step.resource)):
            raise Conflict(f"{step.resource} is looked at by another executor.", "Call its tools one by one.")
    plan = await _plan(call, steps, cause)
    waits = await asked_before(call, plan.steps)
    done = Submission(waits.decision, approval=waits) if waits else await runtime.loop.submit(plan, call.who, about)
    return Submitted(**submitted(answer_of(done)))


async def _about(call: Call, key: str, steps: list[WantedStep]) -> Incident:
    """Raises WatchkeeperError where it is over, in other hands, or not what these steps are about."""
    incident = await call.runtime.store.get(Incident, key)
    if incident.status == "closed":
        raise Conflict(f"{key} is over: {incident.outcome}.", "get_incident tells how it ended.")
    if incident.status == "escalated":
        raise Conflict(f"{key} was handed to a person.", "Tell the user; they may do it with `watchkeeper fix`.")
    within = {*incident.resources, *call.runtime.watch.neighbours(incident.resources)}
    for step in steps:
        if (resource := call.runtime.watch.resource(step.resource)).id not in within:
            raise Conflict(f"{resource.slug} has no part in {key}.", "get_incident tells which resources have.")
    return incident


async def _plan(call: Call, steps: list[WantedStep], cause: str) -> Plan:
    """Raises WatchkeeperError where a step cannot be called so."""
    runtime = call.runtime
    resources = [runtime.watch.resource(step.resource) for step in steps]
    at = await runtime.watch.look(tuple(dict.fromkeys(resource.id for resource in resources)))
    plans = [
        runtime.decide.plan_for(step.tool, resource, step.arguments, call.who, at)
        for step, resource in zip(steps, resources, strict=True)
    ]
    made = tuple(
        replace(plan.steps[0], why=step.why or plan.steps[0].why) for plan, step in zip(plans, steps, strict=True)
    )
    diagnosis = Diagnosis(resources[0].id, cause, f"as {call.who.id} sees it", author=call.who.id)
    return Plan(call.who.id, made, now(), diagnosis)


class Left(Answer):
    """An incident goes on without the agent."""

    incident: str
    next: str


@tool(Effect.REVERSIBLE)
async def leave_incident(
    call: Call, incident: Annotated[str, MaxLen(100)], why: Annotated[str, MinLen(1), MaxLen(1000)]
) -> Left:
    """Say that you hand in nothing for an incident that waits for your plan, and why: whoever is next goes on at once,
    and reads what you found. Use it where nothing should be done, or nothing you could do would help."""
    runtime = call.runtime
    writing(runtime, "leave_incident")
    found = await runtime.store.get(Incident, incident)
    if not found.active:
        raise Conflict(f"{incident} is {found.status}.", "get_incident tells how it is.")
    text = f"{call.who.id} hands in nothing: {why}"
    await runtime.store.emit(Event(LEFT, incident, text, now(), by=call.who.id, incident=incident))
    runtime.desk.wake(incident)
    after = "Runbooks plan now." if runtime.settings.mcp.then == "runbooks" else "A person is told now."
    return Left(incident=incident, next=after)


@tool(Effect.READ)
async def fix_status(
    call: Call, fix: Annotated[str, MaxLen(100)], wait_seconds: Annotated[float, Ge(0), Le(300)] = 0
) -> FixView:
    """What became of a change you asked for: by its fix_id or approval_id. With `wait_seconds` it answers once the
    fix is over, or a person has refused it, or after so long; progress is told meanwhile. Cancelling ends the waiting,
    never the fix."""
    view = await _view(call, fix)
    if not wait_seconds or view.over:
        return view
    until = asyncio.get_running_loop().time() + wait_seconds
    newest = await call.runtime.store.events(limit=1, newest=True)
    told = -1.0
    async for _ in call.runtime.store.follow(newest[-1].seq if newest else 0, heartbeat=min(BEAT, wait_seconds)):
        view = await _view(call, fix)
        if view.over or asyncio.get_running_loop().time() >= until:
            break
        done, of, text = _progress(view)
        if done > told:
            told = done
            await call.progress(done, of, text)
    return view


def _progress(view: FixView) -> tuple[float, float, str]:
    """How far it is: a person's word, each step, and the verdict count one each."""
    steps = [step for step in view.steps if step.status in ("done", "failed", "refused", "skipped", "unknown")]
    begun = view.started_at is not None
    done = (1 + len(steps) if begun else 0) + (view.verdict is not None)
    text = f"{view.fix_id} is {view.status}"
    if begun and steps:
        text += f": {steps[-1].tool} {steps[-1].status}"
    return float(done), float(len(view.steps) + 2), text


async def _view(call: Call, key: str) -> FixView:
    """Raises NotFound."""
    store = call.runtime.store
    if fix := await store.find(Fix, key):
        return FixView.of(fix)
    approval = await store.find(Approval, key)
    if approval is None:
        recent = await store.select(Approval, limit=REMEMBERED)
        approval = next((one for one in recent if one.fix == key), None)
    if approval is None:
        raise NotFound(f"There is no fix or approval {key}.", "A change you asked for gave you its fix_id.")
    if fix := await store.find(Fix, approval.fix):
        return FixView.of(fix).model_copy(update={"approval_id": approval.id})
    return _waiting(approval, now())


def _waiting(approval: Approval, at: datetime) -> FixView:
    late = approval.status == "waiting" and approval.expires_at <= at
    status = "expired" if late else {"waiting": "awaiting_approval"}.get(approval.status, approval.status)
    waits = status == "awaiting_approval"
    return FixView(
        fix_id=approval.fix,
        status=status,
        over=status in ("rejected", "expired", "void"),
        author=approval.plan.author,
        steps=Step.planned(approval.plan),
        approval_id=approval.id,
        expires_at=approval.expires_at if waits else None,
        reasons=[approval.decision.reason],
        decided_by=approval.decided_by or None,
        note=approval.note or None,
        next=f"A person decides: `watchkeeper approve {approval.id}`. You cannot." if waits else None,
    )


TOOLS = (fix_status, submit_plan)
IN_THE_SEAT = (leave_incident,)
"""And those to whom the planning is left."""
