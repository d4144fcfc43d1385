"""What may be looked up and done with a resource's own tools, and a fix that an answer proposes: checked as a plan is,
and handed in by nobody but a person."""

import json
from typing import Annotated, Any

from annotated_types import MaxLen, MinLen

from watchkeeper.decide.model import AnswerStep, Argument, arguments_of, only_looks
from watchkeeper.domain import Effect, Incident, tool
from watchkeeper.domain.conversation import ProposedFix, ProposedStep
from watchkeeper.incidents import ACTIVE
from watchkeeper.server.around import LARGEST
from watchkeeper.server.chat.eyes import Sight
from watchkeeper.server.chat.looks import Name
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import allowed
from watchkeeper.server.submitting import planned
from watchkeeper.store import new_id


@tool(Effect.READ)
async def actions(eyes: Sight, resource: Name) -> str:
    """The tools of one resource: its own look-ups (call `look` with them), and what may be done to it, with the effect
    each would have now, its arguments, and why it would be refused."""
    known = eyes.runtime.watch.resource(resource)
    reading = eyes.runtime.watch.situation((known.id,)).readings.get(known.id)
    lines: list[str] = []
    for name, one in sorted(eyes.runtime.decide.tools.items()):
        if eyes.runtime.registry.kind_of_tool[name] != known.kind:
            continue
        schema = json.dumps(one.arguments.model_json_schema().get("properties", {}))
        first = one.description.split("\n\n")[0].replace("\n", " ")
        effect = "look-up" if only_looks(one.effect, one.effect_now) else str(one.effect_on(reading))
        refusal = one.refusal(reading, {}) if reading and not one.arguments.model_fields else None
        lines.append(f"{name} [{effect}] {first} Arguments: {schema}" + (f" Refused now: {refusal}" if refusal else ""))
    if not known.may_act:
        lines.append(f"nothing may be changed on {known.slug}: it is only watched")
    return "\n".join(eyes.text(line, 600) for line in lines) or f"there are no tools for a {known.kind}"


@tool(Effect.READ)
async def look(
    eyes: Sight, tool: Name, resource: Name, arguments: Annotated[list[Argument], MaxLen(10)] | None = None
) -> str:
    """Call one of a resource's own look-ups, as `actions` lists them, on the resource itself, now."""
    allowed(eyes.runtime, eyes.who, "submit", "call_tool")  # as if they called it themselves
    wanted = eyes.runtime.decide.tool(tool)
    around = eyes.runtime.decide.llm.around if eyes.runtime.decide.llm else None
    if around is None or not only_looks(wanted.effect, wanted.effect_now):
        return f"{tool} is no look-up: what changes something is only ever proposed"
    known = eyes.runtime.watch.resource(resource)
    step = AnswerStep(tool=tool, resource=resource, arguments=arguments or [])
    said = await around.look_up(tool, known.id, arguments_of(step, wanted))
    text = eyes.text(json.dumps(said, ensure_ascii=False, default=str), LARGEST)
    return f"[{eyes.answer(known.id, f'{tool} on {known.slug}: {text[:160]}', text)}] {text}"


@tool(Effect.READ)
async def propose_fix(
    eyes: Sight,
    summary: Annotated[str, MinLen(1), MaxLen(500)],
    cause: Annotated[str, MinLen(1), MaxLen(1000)],
    steps: Annotated[list[AnswerStep], MinLen(1), MaxLen(5)],
) -> str:
    """Propose a fix to the person: its steps, gentlest first, with the cause it is for. Nothing is done: they decide
    whether it is handed in, and policy judges it then. Problems are answered: mend them, and propose again."""
    runtime = eyes.runtime
    made = [(step.tool, step.resource, _arguments(runtime, step), step.why) for step in steps]
    plan, refused = await planned(runtime, made, cause, eyes.who)
    if refused:
        return "Not proposed: " + "; ".join(eyes.text(f"step {number}: {why}") for number, why in refused.items())
    active = await runtime.store.select(Incident, status=ACTIVE)
    about = next((one.id for one in active if set(plan.resources) & set(one.resources)), None)
    scanner = eyes.fence.scanner
    eyes.plan = ProposedFix(
        new_id("prop"),
        scanner.text(summary),
        scanner.text(cause),
        tuple(
            ProposedStep(
                s.tool,
                eyes.slug(s.resource),
                dict(s.arguments),
                scanner.text(s.why),
                s.effect.value,
                in_bytes=runtime.decide.tool(s.tool).in_bytes,
            )
            for s in plan.steps
        ),
        about,
    )
    effects = ", ".join(f"{step.tool}: {step.effect}" for step in plan.steps)
    return f"Shown to the person as a proposal ({effects}). Nothing was done."


def _arguments(runtime: Runtime, step: AnswerStep) -> dict[str, Any]:
    found = runtime.decide.tools.get(step.tool)
    return arguments_of(step, found) if found else {}


HANDS_OFF = (actions, look, propose_fix)
