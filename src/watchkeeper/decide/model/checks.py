"""What a model hands in is checked before anybody acts: what is wrong with it is said exactly."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.decide.model.answer import Answer, AnswerStep
from watchkeeper.decide.model.delimiting import Shown
from watchkeeper.decide.runbooks import RungSkipped, matching, step_of
from watchkeeper.decide.shell import by_hand
from watchkeeper.domain import Diagnosis, Effect, Incident, Plan, Resource, Runbook, Step, Tool, WatchkeeperError, now
from watchkeeper.domain.healer import fights
from watchkeeper.domain.situation import Situation

CALLING = ("warning", "critical")
"""Severities of alerts that must be accounted for."""


@dataclass(frozen=True, slots=True)
class Case:
    """What an answer is checked against."""

    incident: Incident
    situation: Situation
    tools: Mapping[str, Tool[Any]]
    kinds: Mapping[str, str]
    """By tool, the kind of resource it works on."""
    runbooks: Sequence[Runbook]
    tried: frozenset[str]
    """Names of the tools that were carried out in this incident."""

    def resource(self, said: str) -> Resource | None:
        """By id or slug, within the incident's reach."""
        known = self.situation.resources
        return known.get(said) or next((one for one in known.values() if one.slug == said), None)

    @property
    def slugs(self) -> list[str]:
        return sorted(one.slug for one in self.situation.resources.values())


def complaints(answer: Answer, shown: Shown, case: Case, thought_at: datetime | None = None) -> tuple[str, ...]:
    """Everything that is wrong with it; empty where nothing is. What fired only after `thought_at` it could not know
    of: what suffers from the root goes on falling while somebody thinks."""
    unwell = _about_the_unwell(answer, case, thought_at)
    found = [*_about_root(answer, case), *_about_evidence(answer, shown), *unwell]
    if answer.steps and answer.nothing:
        found.append("There are steps and also `nothing`: hand in one of them.")
    if not answer.steps and not answer.nothing.strip():
        found.append("There are no steps: say in `nothing` why nothing should be done.")
    for number, said in enumerate(answer.steps, 1):
        found += [f"Step {number}: {problem}" for problem in _about_step(said, case)]
    if not found and answer.steps:
        found += _too_harsh(answer, case)
    return tuple(found)


def _about_root(answer: Answer, case: Case) -> Iterable[str]:
    root = case.resource(answer.root)
    if root is None:
        yield f"root: {answer.root!r} is not within this incident's reach. Within it: {', '.join(case.slugs)}."
    elif answer.steps and case.resource(answer.steps[0].resource) not in (None, root):
        yield f"The first step acts on {answer.steps[0].resource}, not on the root {root.slug}."


def _about_evidence(answer: Answer, shown: Shown) -> Iterable[str]:
    if not answer.evidence:
        yield "evidence: rest it on at least one id that you were shown."
    if unknown := [key for key in answer.evidence if key not in shown.items]:
        yield f"evidence: you were never shown {', '.join(unknown)}. Cite only ids that you were shown."


def _about_the_unwell(answer: Answer, case: Case, thought_at: datetime | None) -> Iterable[str]:
    said = {answer.root, *answer.accounts_for, *(step.resource for step in answer.steps)}
    named = {one.id for key in said if (one := case.resource(key))}
    mine = [a for a in case.situation.firing if a.incident == case.incident.id and a.severity in CALLING]
    if thought_at is not None:
        mine = [alert for alert in mine if (alert.firing_at or alert.pending_at) <= thought_at]
    forgotten = sorted({case.situation.resources[a.resource].slug for a in mine if a.resource not in named})
    if forgotten:
        yield f"accounts_for: these are unwell and you say nothing about them: {', '.join(forgotten)}."


def _about_step(said: AnswerStep, case: Case) -> Iterable[str]:
    tool, resource = case.tools.get(said.tool), case.resource(said.resource)
    if tool is None:
        near = difflib.get_close_matches(said.tool, case.tools, n=3)
        yield f"there is no tool {said.tool!r}" + (f"; did you mean {' or '.join(near)}?" if near else ".")
    if resource is None:
        yield f"{said.resource!r} is not within this incident's reach. Within it: {', '.join(case.slugs)}."
    if tool is None or resource is None:
        return
    if case.kinds[tool.name] != resource.kind:
        yield f"{tool.name} works on a {case.kinds[tool.name]}; {resource.slug} is a {resource.kind}."
        return
    reading = case.situation.readings.get(resource.id)
    if tool.effect_on(reading) is Effect.READ:
        yield f"{tool.name} only looks: use it as a look-up, not as a step."
        return
    try:
        arguments = tool.parse(arguments_of(said, tool))
    except WatchkeeperError as problem:
        yield f"{problem.what} Its arguments: {json.dumps(tool.arguments.model_json_schema()['properties'])}"
        return
    if reading is None:
        yield f"there is no reading of {resource.slug} to judge it by."
        return
    if refusal := tool.refusal(reading, arguments) or fights(tool, case.situation.healers.get(resource.id, ())):
        yield f"{tool.name} is refused now: {refusal}"


def arguments_of(said: AnswerStep, tool: Tool[Any]) -> dict[str, Any]:
    """What was said, with JSON taken apart where the tool takes no text."""
    made: dict[str, Any] = {}
    for one in said.arguments:
        value: Any = one.value
        field = tool.arguments.model_fields.get(one.name)
        if isinstance(value, str) and field is not None and field.annotation is not str and value[:1] in "[{":
            with suppress(ValueError):
                value = json.loads(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        made[one.name] = value
    return made


def _too_harsh(answer: Answer, case: Case) -> Iterable[str]:
    """Where a runbook for the same fault, or one that comes to the same tool, has a gentler rung that could be done
    now and was not."""
    for number, said in enumerate(answer.steps, 1):
        tool, resource = case.tools[said.tool], case.resource(said.resource)
        if resource is None:
            continue
        effect = tool.effect_on(case.situation.readings.get(resource.id))
        before = {step.tool for step in answer.steps[: number - 1]}
        gentler = [
            name
            for book in case.runbooks
            if book.kind == resource.kind and _for_it(book, tool.name, resource, case)
            for name in _gentler(book, tool.name, effect, resource, case)
            if name not in before
        ]
        if gentler:
            names = ", ".join(dict.fromkeys(gentler))
            yield f"Step {number}: {tool.name} is {effect}; gentler for this cause, and not tried yet: {names}."


def _for_it(book: Runbook, tool: str, resource: Resource, case: Case) -> bool:
    has = any(step.tool == tool for rung in book.ladder for step in rung)
    return has or book in matching(resource.id, case.situation, [book])


def _gentler(book: Runbook, tool: str, effect: Effect, resource: Resource, case: Case) -> Iterable[str]:
    """The first tools of rungs that come before it, could be carried out now, are gentler and were not tried."""
    for rung in book.ladder:
        if any(step.tool == tool for step in rung):
            return
        try:
            steps = [step_of(step, resource, case.situation, case.tools[step.tool]) for step in rung]
        except RungSkipped:
            continue
        harshest = max(step.effect.rank for step in steps)
        if harshest < effect.rank and not any(step.tool in case.tried for step in steps):
            yield " + ".join(step.tool for step in steps)


def diagnosis_of(answer: Answer, shown: Shown, case: Case, author: str) -> Diagnosis:
    """Of an answer that passed every check: its evidence as what was shown, by id."""
    root = case.resource(answer.root)
    assert root is not None
    return Diagnosis(
        root=root.id,
        cause=answer.cause,
        reasoning=answer.reasoning,
        evidence=tuple(shown.items[key] for key in dict.fromkeys(answer.evidence)),
        ruled_out=tuple(f"{one.cause}: {one.why}" for one in answer.ruled_out),
        confidence=answer.confidence,
        author=author,
    )


def plan_of(answer: Answer, shown: Shown, case: Case, author: str) -> Plan:
    """The same, with the steps as they would be carried out now."""
    steps: list[Step] = []
    for said in answer.steps:
        tool, resource = case.tools[said.tool], case.resource(said.resource)
        assert resource is not None
        reading = case.situation.readings[resource.id]
        arguments = tool.parse(arguments_of(said, tool))
        steps.append(
            Step(
                tool.name,
                resource.id,
                arguments,
                said.why or tool.description.splitlines()[0],
                said.expected,
                tool.effect_on(reading),
                by_hand(tool, resource, arguments, reading.facts),
                tool.in_bytes,
            )
        )
    return Plan(author, tuple(steps), now(), diagnosis_of(answer, shown, case, author))
