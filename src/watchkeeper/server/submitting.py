"""`POST /api/fixes`: a fix of several steps that somebody hands in, their own or one that an answer proposed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.decide.model import only_looks
from watchkeeper.domain import Conflict, Diagnosis, Incident, NotFound, Plan, Principal, Refused, WatchkeeperError, now
from watchkeeper.domain.conversation import Conversation, ProposedFix
from watchkeeper.incidents import ACTIVE
from watchkeeper.server.incidents import id_of, submitted
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Submitter
from watchkeeper.server.views import Submitted

router = APIRouter(prefix="/api", tags=["fixes"])
RECENT = 500
"""Conversations among which a proposal is sought."""


class SubmittedStep(BaseModel):
    """One call of one tool."""

    model_config = ConfigDict(extra="forbid")
    tool: str = Field(max_length=200)
    resource: str = Field(max_length=300)
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any], alias="with")
    why: str = Field(default="", max_length=500)


class SubmitFix(BaseModel):
    """The steps, gentlest first, and the cause they are for; or a proposal of a conversation. `incident`: the one it is
    to end; without it, the one that its first resource is in, if any."""

    model_config = ConfigDict(extra="forbid")
    steps: list[SubmittedStep] = Field(default_factory=list[SubmittedStep], max_length=5)
    cause: str = Field(default="", max_length=1000)
    incident: str | None = Field(default=None, max_length=100)
    proposal: str | None = Field(default=None, max_length=60)


@router.post("/fixes", status_code=202)
async def submit_fix(body: SubmitFix, runtime: Here, who: Submitter) -> Submitted:
    """Hand in a fix of several steps. It is yours: judged by policy as whatever you call by hand, carried out in
    order as one fix, proven by readings and probe, and undone where it did not help."""
    wanted = [(step.tool, step.resource, step.arguments, step.why) for step in body.steps]
    cause, about = body.cause, body.incident
    if body.proposal is not None:
        known = await _proposal(runtime, body.proposal)
        wanted = wanted or [(step.tool, step.resource, step.arguments, step.why) for step in known.steps]
        cause, about = cause or known.cause, about or known.incident
    if not wanted:
        raise Refused("There is no step to carry out.", "Name `steps`, or a `proposal`.")
    if runtime.store.shared:
        for _, slug, _, _ in wanted:
            if not runtime.sharing.held(await id_of(runtime, slug)):
                raise Conflict(f"{slug} is looked at by another executor.", "Call its tools one by one.")
    plan, refused = await planned(runtime, wanted, cause or "asked for by hand", who)
    if refused:
        said = "; ".join(f"step {number}: {why}" for number, why in refused.items())
        raise Refused(f"It cannot be carried out: {said}", "Nothing was changed.")
    return submitted(await runtime.loop.submit(plan, who, await _about(runtime, about, plan)))


async def _proposal(runtime: Runtime, token: str) -> ProposedFix:
    """Raises NotFound."""
    for one in await runtime.store.select(Conversation, limit=RECENT):
        if found := one.proposal(token):
            return found
    raise NotFound(f"There is no proposal {token}.", "`watchkeeper ask` says the name of what it proposes.")


async def _about(runtime: Runtime, key: str | None, plan: Plan) -> Incident | None:
    """Raises NotFound."""
    if key is not None:
        found = await runtime.store.get(Incident, key)
        return found if found.active else None
    active = await runtime.store.select(Incident, status=ACTIVE)
    return next((one for one in active if plan.resources[0] in one.resources), None)


async def planned(
    runtime: Runtime, wanted: Sequence[tuple[str, str, Mapping[str, Any], str]], cause: str, who: Principal
) -> tuple[Plan, dict[int, str]]:
    """A plan of these calls (tool, resource, arguments, why) after a fresh look, and by number of step what is wrong
    with it."""
    refused: dict[int, str] = {}
    known: dict[str, str] = {}
    for number, (_, slug, _, _) in enumerate(wanted, 1):
        try:
            known[slug] = runtime.watch.resource(slug).id
        except WatchkeeperError as problem:
            refused[number] = f"{problem.what} {problem.next_step}".strip()
    at = await runtime.watch.look(tuple(dict.fromkeys(known.values())))
    made: list[Plan] = []
    for number, (name, slug, arguments, why) in enumerate(wanted, 1):
        if number in refused:
            continue
        try:
            if only_looks((found := runtime.decide.tool(name)).effect, found.effect_now):
                raise Refused(f"{name} only looks.", "A fix changes something.")
            plan = runtime.decide.plan_for(name, runtime.watch.resource(slug), arguments, who, at)
            made.append(replace(plan, steps=(replace(plan.steps[0], why=why or plan.steps[0].why),)))
        except WatchkeeperError as problem:
            refused[number] = f"{problem.what} {problem.next_step}".strip()
    steps = tuple(step for plan in made for step in plan.steps)
    root = steps[0].resource if steps else ""
    diagnosis = Diagnosis(root, cause, f"as {who.id} sees it", author=who.id)
    return Plan(who.id, steps, now(), diagnosis), refused
