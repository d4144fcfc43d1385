"""The next rung of the ladder that fits: runbooks turned into plans."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchkeeper.decide.shell import by_hand
from watchkeeper.domain import (
    Alert,
    Diagnosis,
    Evidence,
    Incident,
    Plan,
    Resource,
    Runbook,
    RungStep,
    Step,
    Tool,
    WatchkeeperError,
    now,
    scope,
)
from watchkeeper.domain.healer import fights
from watchkeeper.domain.situation import Situation
from watchkeeper.domain.spoken import filled

LEFT = " leaves it to a person: "


class RungSkipped(Exception):
    """This rung cannot help now; the message says why."""


def plan_from_runbooks(
    root: str, incident: Incident, situation: Situation, runbooks: Sequence[Runbook], tools: Mapping[str, Tool[Any]]
) -> tuple[Plan | None, tuple[str, ...]]:
    """The gentlest rung for the root that was not tried, not refused, and whose preconditions hold; and what was
    passed over, with why."""
    resource = situation.resources[root]
    alerts = situation.alerts_of(root)
    passed: list[str] = []
    plans: list[Plan] = []
    for runbook in matching(root, situation, runbooks):
        if not runbook.ladder:
            passed.append(f"runbook {runbook.name}{LEFT}{runbook.cause}")
        for number, rung in enumerate(runbook.ladder, 1):
            author = f"runbook:{runbook.name}#{number}"
            names = " + ".join(step.tool for step in rung)
            if incident.hindered.get(f"{author}@{root}"):
                passed.append(f"{names}: failed while something else was wrong, and is tried again when that is over")
                break  # what is harsher is not called for yet
            if f"{author}@{root}" in incident.tried:
                passed.append(f"{names}: tried here before")
                continue
            if f"{author}@{root}" in incident.refused:
                passed.append(f"{names}: {incident.refusals.get(f'{author}@{root}', 'refused here before')}")
                continue
            try:
                steps = tuple(step_of(step, resource, situation, tools[step.tool]) for step in rung)
            except RungSkipped as why:
                passed.append(f"{names}: {why}")
                continue
            diagnosis = diagnose(root, situation, runbook, tuple(passed), author)
            confirm = runbook.confirm or next((a.why for a in alerts if a.confirm), "")
            healed = runbook.healed.source if runbook.healed else None
            aims = aimed_at(runbook, alerts, resource.kind)
            plans.append(Plan(author, steps, now(), diagnosis, healed, confirm, aims=aims))
            break
    return first(plans, situation, tools), tuple(passed)


def first(plans: Sequence[Plan], situation: Situation, tools: Mapping[str, Tool[Any]]) -> Plan | None:
    """Which goes first: the one for the worst fault, unless it is harsher than what is known for a lesser one, which
    may be its cause, or starts things anew."""
    best: Plan | None = None
    for plan in plans:
        revives = any(tools[step.tool].revives for step in plan.steps)
        gentle = best is None or (plan.effect.rank <= best.effect.rank and not revives)
        if best is None or (gentle and worse(plan, best, situation)):
            best = plan
    return best


def worse(plan: Plan, other: Plan, situation: Situation) -> bool:
    """Whether it is for a worse fault than the other is, where both tell what they are for."""
    mine, theirs = _gravity(plan, situation), _gravity(other, situation)
    return mine is not None and theirs is not None and mine > theirs


def outlived(plan: Plan, other: Plan | None, situation: Situation) -> bool:
    """Whether nothing that it is for fires any more, and something that the other is for does; without another plan,
    something else on what it is to be done to."""
    if not plan.aims or _gravity(plan, situation) is not None:
        return False
    if other is not None:
        return _gravity(other, situation) is not None
    return any(alert.resource in plan.resources for alert in situation.firing)


def _gravity(plan: Plan, situation: Situation) -> tuple[bool, int] | None:
    """Of the worst alert that it is for, as long as that fires."""
    alerts = (alert for alert in situation.firing if alert.resource in plan.resources and alert.rule in plan.aims)
    return max((alert.gravity for alert in alerts), default=None)


def known_cause(root: str, situation: Situation, runbooks: Sequence[Runbook]) -> Diagnosis | None:
    """What the first runbook for the root says that has an empty ladder: it names a cause that only people can mend.
    Facts whose names end with `_else` tell what it is not."""
    found = next((runbook for runbook in matching(root, situation, runbooks) if not runbook.ladder), None)
    if found is None:
        return None
    reading = situation.readings.get(root)
    told = reading.facts.items() if reading is not None else ()
    elsewhere = tuple(text for name, text in told if name.endswith("_else") and text)
    return diagnose(root, situation, found, elsewhere, f"runbooks show {found.name}")


def supposed_cause(
    root: str, situation: Situation, runbooks: Sequence[Runbook], passed: tuple[str, ...]
) -> Diagnosis | None:
    """What the first runbook for the root says where none of its rungs can help: the cause is no less known for it."""
    found = next(iter(matching(root, situation, runbooks)), None)
    return diagnose(root, situation, found, passed, f"runbook:{found.name}") if found else None


def matching(root: str, situation: Situation, runbooks: Sequence[Runbook]) -> list[Runbook]:
    kind = situation.resources[root].kind
    seen = _seen(situation.alerts_of(root), kind)
    return [runbook for runbook in runbooks if runbook.kind == kind and runbook.when.holds(seen)]


def aimed_at(runbook: Runbook, alerts: Sequence[Alert], kind: str) -> tuple[str, ...]:
    """The rules of those alerts for which the runbook is there: each is enough for its `when`, or cannot be spared.
    Empty where that tells nothing."""
    return tuple(
        dict.fromkeys(
            alert.rule
            for alert in alerts
            if runbook.when.holds(_seen((alert,), kind))
            or not runbook.when.holds(_seen([other for other in alerts if other.rule != alert.rule], kind))
        )
    )


def _seen(alerts: Sequence[Alert], kind: str) -> Any:
    """The alerts as a runbook's `when` sees them."""
    return scope(
        alerts=[{"rule": a.rule, "resource": a.resource, "severity": a.severity, "kind": kind} for a in alerts]
    )


def diagnose(root: str, situation: Situation, runbook: Runbook, ruled_out: tuple[str, ...], author: str) -> Diagnosis:
    """What a runbook says of the cause, with the readings it rests on."""
    others = sorted({a.resource for a in situation.firing if a.resource != root and not a.own_cause})
    mine = situation.alerts_of(root)
    reasoning = f"{', '.join(a.rule for a in mine)} on {situation.resources[root].slug}"
    if others:
        slugs = ", ".join(situation.resources[other].slug for other in others)
        reasoning += f"; it is the most upstream of what is unwell and explains {slugs}"
    reading = situation.readings.get(root)
    evidence = tuple(
        Evidence(a.resource, a.firing_at or a.pending_at, f"{a.rule}: {_said(a.value)}{a.why}")
        for a in situation.firing
    )
    if reading is not None:
        state = reading.state or ("no answer" if reading.error else "")
        evidence += (Evidence(root, reading.at, f"the reading at hand: {reading.error or state}"),)
    cause = filled(runbook.cause, reading.facts if reading else {})
    return Diagnosis(root, cause, reasoning, evidence, ruled_out, None, author)


def _said(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}; "


def step_of(rung: RungStep, resource: Resource, situation: Situation, tool: Tool[Any]) -> Step:
    reading = situation.readings.get(resource.id)
    if reading is None:
        raise RungSkipped("there is no reading to judge it by")
    arguments: dict[str, Any] = dict(rung.arguments)
    within = reading.scope()
    for name, expression in rung.expressions.items():
        value = expression.value(within)
        if value is None or value == "":
            raise RungSkipped(
                f"{name} cannot be worked out: {expression.source.strip()} is not known of {resource.slug}"
            )
        if isinstance(value, float) and tool.arguments.model_fields[name].annotation is int:
            value = int(value)
        arguments[name] = value
    try:
        arguments = tool.parse(arguments)
    except WatchkeeperError as problem:
        raise RungSkipped(problem.what) from None
    refusal = tool.refusal(reading, arguments) or fights(tool, situation.healers.get(resource.id, ()))
    if refusal:
        raise RungSkipped(refusal)
    return Step(
        tool=tool.name,
        resource=resource.id,
        arguments=arguments,
        why=rung.why or tool.description.splitlines()[0],
        effect=tool.effect_on(reading),
        by_hand=by_hand(tool, resource, arguments, reading.facts),
        in_bytes=tool.in_bytes,
    )
