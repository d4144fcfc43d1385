"""A plan that healed, distilled to a runbook: when it applies, its ladder, and the page a person reads."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_origin

import yaml

from watchkeeper.domain import Alert, Effect, Fix, Reading, Resource, Step, Tool

UNITS = ("_bytes", "_seconds", "_ratio", "_per_second")
FACTORS = (2.0, 3.0, 4.0, 1.5, 1.25, 0.5, 0.75, 0.8)
"""By which people and models change a figure; another multiple is taken for chance."""
CLOSE = 1e-3
"""Share by which a figure may be off its explanation: it was rounded."""
SMALL = 2.0
"""Figures up to it are equal to something by chance."""
RANK = ("info", "warning", "critical")


class NotDistilled(Exception):
    """It makes no runbook; the message says why, for a person."""


@dataclass
class Lesson:
    """What a runbook file holds, before it has a name."""

    when: str
    rules: tuple[str, ...]
    text: str
    likeness: str
    doubts: tuple[str, ...]


@dataclass
class _Drawn:
    """A ladder as it is drawn up."""

    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    mitigation: list[str] = field(default_factory=list[str])
    doubts: list[str] = field(default_factory=list[str])


def distilled(
    fix: Fix, alerts: Sequence[Alert], resource: Resource, tools: Mapping[str, Tool[Any]], clean: Callable[[str], str]
) -> Lesson:
    """`alerts`: of its incident; `resource`: the root; `clean` masks what looks like a secret in prose. Raises
    NotDistilled."""
    steps = [step for step in fix.plan.steps if step.effect is not Effect.READ]
    if not steps or any(step.undo_of is not None for step in steps):
        raise NotDistilled("it only looked, or took something back")
    if {step.resource for step in steps} != {resource.id}:
        raise NotDistilled("it acts on more than its root, and a runbook acts on one resource")
    done = {record.index for record in fix.steps if record.status == "done"}
    if any(index not in done for index, step in enumerate(fix.plan.steps) if step.effect is not Effect.READ):
        raise NotDistilled("not every step was carried out")
    telling = _telling(fix, alerts, resource.id)
    if not telling:
        raise NotDistilled("no alert fired on its root when it began, so nothing tells when it applies")
    rules = tuple(dict.fromkeys(alert.rule for alert in telling))
    drawn = _Drawn()
    for step in steps:
        _draw(step, tools[step.tool], fix.before.get(resource.id), resource, drawn)
    when = " && ".join(f"alerts.exists(a, a.rule == {json.dumps(rule)})" for rule in rules)
    cause = nameless(fix.plan.diagnosis.cause if fix.plan.diagnosis else telling[0].why, resource)
    matter: dict[str, Any] = {"when": when, "cause": clean(cause).translate(_BRACES), "ladder": [drawn.steps]}
    if drawn.doubts:
        matter["confirm"] = " ".join(drawn.doubts)
    front = yaml.safe_dump(matter, sort_keys=False, allow_unicode=True, width=110)
    acts = json.dumps([resource.kind, when, [[one["tool"], one.get("with")] for one in drawn.steps]], default=str)
    text = f"---\n{front}---\n{clean(_page(fix, telling, resource, drawn))}"
    return Lesson(when, rules, text, hashlib.sha256(acts.encode()).hexdigest()[:16], tuple(drawn.doubts))


def _telling(fix: Fix, alerts: Iterable[Alert], root: str) -> list[Alert]:
    """The most severe of those that fired on its root when it began: what else fired comes of them, or by chance."""
    fired = [
        alert
        for alert in alerts
        if alert.resource == root
        and alert.severity != "info"
        and (alert.firing_at or alert.pending_at) <= fix.started_at
        and (alert.resolved_at is None or alert.resolved_at >= fix.started_at)
    ]
    worst = max((RANK.index(alert.severity) for alert in fired), default=0)
    return sorted((a for a in fired if RANK.index(a.severity) == worst), key=lambda alert: alert.rule)


def _draw(step: Step, tool: Tool[Any], before: Reading | None, resource: Resource, drawn: _Drawn) -> None:
    said: dict[str, Any] = {}
    told: list[str] = []
    for name, value in step.arguments.items():
        info = tool.arguments.model_fields[name]
        if not info.is_required() and value == info.get_default():
            continue
        if isinstance(value, str) and value.startswith("="):
            raise NotDistilled(f"{name} begins with `=`, which a runbook takes for an expression")
        expression = explained(name, value, tool, before)
        said[name] = f"= {expression}" if expression else value
        told.append(f"{name} was {value} there" + (f", which is `{expression}`" if expression else ""))
        if expression is None and not _general(value, info.annotation):
            drawn.doubts.append(
                f"{tool.name} takes {name} = {value} as it was then, for nothing that was read explains it."
            )
    one: dict[str, Any] = {"tool": tool.name} | ({"with": said} if said else {})
    why = "" if step.why == tool.description.splitlines()[0] else nameless(step.why, resource)
    drawn.steps.append(one | ({"why": why} if why else {}))
    drawn.mitigation.append(f"`{tool.name}`" + (f": {why}" if why else "") + (f" ({'; '.join(told)})" if told else ""))


def _general(value: Any, annotation: Any) -> bool:
    """Whether it is of no size or name: a choice, yes or no, a share."""
    if value is None or isinstance(value, bool) or get_origin(annotation) is Literal:
        return True
    return isinstance(value, float) and 0.0 <= value <= 1.0


def explained(name: str, value: Any, tool: Tool[Any], before: Reading | None) -> str | None:
    """An expression over the reading that gives this value: the same figure, or of one that is called alike a simple
    multiple; the same word. None where there is none."""
    if before is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        same = [fact for fact, text in before.facts.items() if text == value and len(value) > int(SMALL)]
        return f"facts.{min(same, key=lambda fact: (-_alike(fact, name, tool), fact))}" if same else None
    if not isinstance(value, int | float) or abs(value) <= SMALL:
        return None
    unit = "_bytes" if name in tool.in_bytes else next((one for one in UNITS if name.endswith(one)), "")
    fitting = {
        metric: figure
        for metric, figure in before.metrics.items()
        if figure and (metric.endswith(unit) if unit else not metric.endswith(UNITS))
    }
    order = sorted(fitting, key=lambda metric: (-_alike(metric, name, tool), metric))
    for metric in order:
        if abs(fitting[metric] - value) <= CLOSE * abs(value):
            return f"reading.{metric}"
    for metric in order:
        for factor in FACTORS:
            if _alike(metric, name, tool) and abs(fitting[metric] * factor - value) <= CLOSE * abs(value):
                return f"reading.{metric} * {factor}"
    return None


def _alike(metric: str, argument: str, tool: Tool[Any]) -> float:
    """How much of a metric's name stands in the tool's and the argument's."""
    said = set(tool.name.split("_")[1:]) | set(argument.split("_"))
    parts = [part for part in metric.split("_") if f"_{part}" not in UNITS]
    return sum(part in said for part in parts) / max(1, len(parts))


_BRACES = str.maketrans("{}", "()")


def nameless(text: str, resource: Resource) -> str:
    """On one line, and without the name of the one that it happened to."""
    text = " ".join(text.split())
    for known in sorted({resource.id, resource.slug, resource.id.rpartition("/")[2]}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/-]){re.escape(known)}(?![\w/-])", f"the {resource.kind}", text)
    return text[:1].upper() + text[1:]


def _page(fix: Fix, alerts: Sequence[Alert], resource: Resource, drawn: _Drawn) -> str:
    diagnosis = fix.plan.diagnosis
    proof = "; ".join(fix.verdict.reasons) if fix.verdict else ""
    parts = [
        f"# {' and '.join(alert.rule for alert in alerts)}",
        f"Distilled from {fix.incident or fix.id}: {fix.plan.author} planned it, and it was proven to heal "
        f"{resource.slug} on {fix.started_at:%Y-%m-%d}: {proof}.",
        f"**Meaning.** {_line(diagnosis.cause if diagnosis else alerts[0].why)}",
        f"**Impact.** {' '.join(dict.fromkeys(_line(alert.why) for alert in alerts))}",
    ]
    if diagnosis is not None:
        ruled_out = "".join(f"\n- not: {_line(one)}" for one in diagnosis.ruled_out)
        parts.append(f"**Diagnosis.** {_line(diagnosis.reasoning)}{ruled_out}")
    steps = "\n".join(f"{number}. {said}" for number, said in enumerate(drawn.mitigation, 1))
    parts.append(f"**Mitigation.**\n\n{steps}")
    if drawn.doubts:
        parts.append("**Before you accept it.** A person is asked each time, for: " + " ".join(drawn.doubts))
    return "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())
