"""What the model is shown of an incident, within a stated number of tokens: what is left out is said."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.decide.model.budget import estimated
from watchkeeper.decide.model.checks import Case
from watchkeeper.decide.model.delimiting import Fence, Shown
from watchkeeper.decide.model.surroundings import Surroundings
from watchkeeper.domain import Effect, Evidence, Fix, Reading, Resource

BEFORE = timedelta(minutes=5)
"""How far back from the first sign readings and log lines are shown."""
POINTS = 6
"""Values of one metric over time."""
LINES = 12
"""Log lines of one resource."""
PAGE = 500
"""Characters of a runbook's page."""


@dataclass
class Section:
    """One part of the prompt; `ours` is not from outside. Lines are left out from the end where there is no room."""

    title: str
    lines: list[str]
    ours: bool = False


@dataclass
class Context:
    """The prompt as it was made."""

    text: str
    shown: Shown
    left_out: list[str] = field(default_factory=list[str])


async def context(case: Case, around: Surroundings, fixes: Sequence[Fix], fence: Fence, room: int) -> Context:
    """Sections in the order of what weighs most, each whole while there is room for it."""
    shown = Shown()
    first = min((a.pending_at for a in case.situation.firing), default=case.incident.opened_at)
    since = first - BEFORE
    order = _order(case)
    sections = [
        Section("The incident", _incident(case, fence, shown)),
        Section("What was tried, and what came of it", _tried(fixes, case, fence), ours=False),
        Section("Resources within reach, and what each needs", [_resource(case, one, fence) for one in order]),
        Section("Readings now: the figures by their names, with units in them", _now(case, order, fence, shown)),
        Section("Tools you may plan with", _tools(case, order), ours=True),
        Section("What each of them would do now, and where it is refused", _effects(case, order, fence)),
        Section("What changed lately", await _changes(case, around, fence, shown)),
        Section("Readings over time", _over_time(case, order, around, since, fence, shown)),
        Section("Log lines", await _logs(order, around, since, fence, shown)),
        Section("What their logs usually say", _templates(order, around, fence)),
        Section("Look-ups: call `look` with one of these", _lookups(case, order), ours=True),
        Section("Runbooks for what alerts, as knowledge", _runbooks(case, order, fence)),
    ]
    left_out: list[str] = []
    parts: list[str] = []
    for section in sections:
        if section.lines:
            room -= estimated(said := _fitting(section, room, left_out, fence))
            parts.append(said)
    if left_out:
        parts.append("Left out for lack of room, use look-ups for it: " + "; ".join(left_out) + ".")
    text = "\n\n".join(part for part in parts if part)
    kept = Shown({key: one for key, one in shown.items.items() if f"[{key}]" in text})
    return Context(text, kept, left_out)


def _fitting(section: Section, room: int, left_out: list[str], fence: Fence) -> str:
    lines: list[str] = []
    used = estimated(section.title) + 30  # the marks
    for line in section.lines:
        if used + estimated(line) > room:
            break
        used += estimated(line)
        lines.append(line)
    if len(lines) < len(section.lines):
        left_out.append(f"{len(section.lines) - len(lines)} of {len(section.lines)} lines of {section.title!r}")
    if not lines:
        return ""
    body = "\n".join(lines)
    return f"## {section.title}\n{body if section.ours else fence.around(body)}"


def _order(case: Case) -> list[Resource]:
    """What alerts in this incident first, then its other resources, then neighbours."""
    alerting = {a.resource for a in case.situation.firing}
    own = set(case.incident.resources)
    known = case.situation.resources.values()
    return sorted(known, key=lambda one: (one.id not in alerting, one.id not in own, one.slug))


def _incident(case: Case, fence: Fence, shown: Shown) -> list[str]:
    lines = [f"{case.incident.id}: {fence.clean(case.incident.title)}, since {_time(case.incident.opened_at)}"]
    for alert in case.situation.firing:
        if alert.incident != case.incident.id:
            continue
        slug, at = case.situation.resources[alert.resource].slug, alert.firing_at or alert.pending_at
        value = "" if alert.value is None else f" ({alert.value:.4g})"
        text = f"{alert.rule} on {fence.clean(slug)}, {alert.severity}{value}: {fence.clean(alert.why)}"
        key = shown.add(
            "A", Evidence(alert.resource, at, f"{alert.rule} on {fence.clean(slug)}{value}: {fence.clean(alert.why)}")
        )
        lines.append(f"[{key}] {_time(at)} {text}")
    return lines


def _tried(fixes: Sequence[Fix], case: Case, fence: Fence) -> list[str]:
    lines: list[str] = []
    for fix in fixes:
        verdict = f"{fix.said}: {'; '.join(fix.verdict.reasons)}" if fix.verdict else fix.said
        lines.append(f"{fix.plan.author}: {fence.clean(verdict, 800)}")
        for record in fix.steps:
            arguments = fence.clean(json.dumps(dict(record.arguments), default=str))
            said = record.error or (json.dumps(record.output, default=str) if record.output is not None else "")
            undone = " and taken back" if fix.undo else ""
            lines.append(f"  {record.tool} {arguments}: {record.status}{undone} {fence.clean(said)}".rstrip())
        if fix.verdict and fix.verdict.after:
            before, after = fix.verdict.before, fix.verdict.after[-1]
            lines.append(f"  before {_figures(before, fence)}")
            lines.append(f"  after  {_figures(after, fence)}")
    lines += [f"refused: {fence.clean(key)}: {fence.clean(why)}" for key, why in case.incident.refusals.items()]
    return lines


def _resource(case: Case, one: Resource, fence: Fence) -> str:
    def slug(key: str) -> str:
        known = case.situation.resources.get(key)
        return known.slug if known else key

    health = case.situation.health.get(one.id)
    parts = [f"{one.slug}: {one.kind}, {one.environment}, {health.value if health else 'UNKNOWN'}"]
    if one.depends_on:
        parts.append(f"needs {', '.join(slug(key) for key in one.depends_on)}")
    if one.runs_on:
        parts.append(f"runs on {slug(one.runs_on)}")
    if not one.may_act:
        parts.append("nothing may be changed on it")
    return fence.clean("; ".join(parts), 800)


def _figures(reading: Reading | None, fence: Fence) -> str:
    if reading is None:
        return "no reading"
    if reading.error:
        return fence.clean(f"no answer: {reading.error}")
    figures = " ".join(f"{name}={value:.5g}" for name, value in reading.metrics.items() if value)
    return fence.clean(figures, 1500)


def _now(case: Case, order: Sequence[Resource], fence: Fence, shown: Shown) -> list[str]:
    """Figures that are 0 are left out, which is said."""
    lines = ["figures that are 0 are left out"]
    for one in order:
        reading = case.situation.readings.get(one.id)
        if reading is None:
            continue
        key = shown.add("R", Evidence(one.id, reading.at, f"the reading at {_time(reading.at)}"))
        facts = "; ".join(f"{name}: {text}" for name, text in reading.facts.items() if text)
        said = f"[{key}] {one.slug} {_time(reading.at)} {fence.clean(reading.state)} {_figures(reading, fence)}"
        lines.append(said + (f" | {fence.clean(facts, 600)}" if facts else ""))
    return lines


def _tools(case: Case, order: Sequence[Resource]) -> list[str]:
    lines: list[str] = []
    for name, tool in case.tools.items():
        here = any(one.kind == case.kinds[name] and one.may_act for one in order)
        if here and not only_looks(tool.effect, tool.effect_now):
            undo = " Has an undo." if tool.undo_run else ""
            first = tool.description.split("\n\n")[0].replace("\n", " ")
            lines.append(f"{name}({_schema(tool.arguments.model_json_schema())}): {first}{undo}")
    return lines


def _effects(case: Case, order: Sequence[Resource], fence: Fence) -> list[str]:
    """Names and what preconditions say are from outside, too."""
    lines: list[str] = []
    for one in order:
        reading = case.situation.readings.get(one.id)
        told: list[str] = []
        for name, tool in case.tools.items():
            if one.kind != case.kinds[name] or not one.may_act or reading is None:
                continue
            effect = tool.effect_on(reading)
            if effect is Effect.READ:
                continue
            refusal = tool.refusal(reading, {}) if not tool.arguments.model_fields else None
            told.append(f"{name}: {effect}" + (f", refused now: {fence.clean(refusal, 200)}" if refusal else ""))
        if told:
            lines.append(f"{fence.clean(one.slug)}: {'; '.join(told)}")
    return lines


def _schema(schema: dict[str, Any]) -> str:
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    made: list[str] = []
    for name, said in properties.items():
        bounds = {key: value for key, value in said.items() if key not in ("title", "description")}
        made.append(f"{name}: {json.dumps(bounds)}")
    return ", ".join(made)


def _lookups(case: Case, order: Sequence[Resource]) -> list[str]:
    lines: list[str] = []
    for name, tool in case.tools.items():
        on = [one.slug for one in order if one.kind == case.kinds[name]]
        if on and only_looks(tool.effect, tool.effect_now):
            first = tool.description.split("\n")[0]
            lines.append(f"{name}({_schema(tool.arguments.model_json_schema())}): {first}")
    return lines


def only_looks(effect: Effect, effect_now: object) -> bool:
    """Whether it changes nothing whatever the state."""
    return effect is Effect.READ and effect_now is None


async def _changes(case: Case, around: Surroundings, fence: Fence, shown: Shown) -> list[str]:
    lines: list[str] = []
    for event in (await around.changes(case.incident))[:15]:
        text = fence.clean(event.text)
        key = shown.add("C", Evidence(event.resource or event.subject, event.at, text))
        lines.append(f"[{key}] {_time(event.at)} {text}")
    return lines


def _over_time(
    case: Case, order: Sequence[Resource], around: Surroundings, since: datetime, fence: Fence, shown: Shown
) -> list[str]:
    """Of each resource the metrics that moved most, thinned out."""
    lines: list[str] = []
    for one in order:
        readings = [reading for reading in around.readings(one.id, since) if reading.ok]
        if len(readings) < 2:
            continue
        step = max(1, (len(readings) - 1) // (POINTS - 1))
        chosen = [*readings[:-1:step][: POINTS - 1], readings[-1]]
        for name in _moved(readings):
            course = " ".join(f"{r.metrics[name]:.4g}" for r in chosen if name in r.metrics)
            lines.append(f"{one.slug} {name}: {course}")
        ids = ", ".join(
            f"[{shown.add('R', Evidence(one.id, r.at, f'the reading at {_time(r.at)}'))}] {_time(r.at)}" for r in chosen
        )
        lines.append(f"{one.slug}: these values are of {fence.clean(ids, 800)}")
    return lines


def _moved(readings: Sequence[Reading], most: int = 6) -> list[str]:
    first, last = readings[0].metrics, readings[-1].metrics
    change = {name: abs(last[name] - first[name]) / (abs(first[name]) + abs(last[name])) for name in last
              if name in first and last[name] != first[name]}  # fmt: skip
    return sorted(change, key=lambda name: -change[name])[:most]


async def _logs(
    order: Sequence[Resource], around: Surroundings, since: datetime, fence: Fence, shown: Shown
) -> list[str]:
    lines: list[str] = []
    for one in order:
        for line in list(await around.logs(one.id, since))[-LINES:]:
            text = fence.clean(line.text)
            key = shown.add("L", Evidence(line.resource or one.id, line.at, f"{line.level}: {text}"))
            lines.append(f"[{key}] {one.slug} {_time(line.at)} {line.level} {text}")
    return lines


def _templates(order: Sequence[Resource], around: Surroundings, fence: Fence) -> list[str]:
    return [f"{one.slug}: {fence.clean(text, 200)}" for one in order for text in list(around.templates(one.id))[:5]]


def _runbooks(case: Case, order: Sequence[Resource], fence: Fence) -> list[str]:
    """Those that were learned hold words of a model, which may have had them from what it read."""
    rules = {a.rule for a in case.situation.firing}
    kinds = {one.kind for one in order}
    lines: list[str] = []
    for book in case.runbooks:
        if book.kind in kinds and any(rule in book.when.source for rule in rules):
            ladder = " → ".join(" + ".join(step.tool for step in rung) for rung in book.ladder)
            page = " ".join(book.page.split())[:PAGE]
            said = f"{book.name} ({book.kind}): {book.cause} Ladder: {ladder or 'none'}. {page}"
            lines.append(fence.clean(said, 2 * PAGE))
    return lines


def _time(at: datetime) -> str:
    return at.strftime("%H:%M:%S.%f")[:-5]
