"""Which metrics of an incident are drawn, with their limits and marks. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Fix, Reading
from watchkeeper.domain.figures import figure, unit
from watchkeeper.notify.html.chart import Band, Curve, Limit, Mark
from watchkeeper.notify.html.story import Story, deed

MOST = 4
"""Charts on a page; what more there would be is named."""
MARKS = 24
_PAD = (12.0, 1800.0)
"""Seconds shown before and after at least and at most; between them as long as it took."""
_COMPARED = re.compile(r"reading\.(\w+)\s*(<=|>=|<|>)\s*([0-9][0-9.]*)(?![\w.]*\s*[-+*/])")
Wanted = dict[tuple[str, str], list[Limit]]


def span(story: Story) -> tuple[datetime, datetime]:
    """From when to when the charts reach."""
    took = (story.end - story.begin).total_seconds()
    pad = timedelta(seconds=min(max(took, _PAD[0]), _PAD[1]))
    return story.begin - pad, min(story.end + pad, story.at)


def looked_at(story: Story) -> Wanted:
    """Resource and metric of what a rule or a proof looks at, with its limits; the root's rules first."""
    found: Wanted = {}
    for alert in sorted(story.alerts, key=lambda a: (a.resource not in story.incident.roots, a.pending_at)):
        _of_rule(found, alert, story)
    for fix in story.fixes:
        if fix.plan.healed:
            root = fix.plan.diagnosis.root if fix.plan.diagnosis else fix.plan.resources[0]
            for name, sign, value in _COMPARED.findall(fix.plan.healed):
                _add(found, root, name, float(value), f"well: {sign} ")
    return found


def _of_rule(found: Wanted, alert: Alert, story: Story) -> None:
    rule = story.rules.get(alert.rule)
    if rule is None:
        return
    compared = {name: (sign, float(value)) for name, sign, value in _COMPARED.findall(rule.when.source)}
    name = rule.metric or next(iter(compared), "")
    if not name:
        return
    sign, value = compared.get(name, (">", rule.threshold))
    _add(found, alert.resource, name, value, f"alert: {sign} ")


def _add(found: Wanted, resource: str, name: str, value: float | None, what: str) -> None:
    limits = found.setdefault((resource, name), [])
    if value is None:
        return
    text = f"{what}{figure(value, unit(name))}"
    if all(limit.text != text for limit in limits):
        limits.append(Limit(value, text, "well" if what.startswith("well") else "alert"))


def marks(story: Story) -> list[Mark]:
    """The moments of it, numbered in their order."""
    said: list[tuple[datetime, str, str]] = []
    fired = sorted((a for a in story.alerts if a.firing_at), key=lambda a: a.firing_at or a.pending_at)
    if story.alerts:
        said.append((story.begin, "plain", "first look that showed it"))
    for alert in fired[:3]:
        said.append(
            (alert.firing_at or alert.pending_at, "alert", f"alert {alert.rule} on {story.name(alert.resource)}")
        )
    for fix in story.fixes:
        said.append((fix.started_at, "fix", f"fix begins: {deed(fix)}"))
        if fix.executed_at:
            said.append((fix.executed_at, "fix", f"carried out: {deed(fix)}"))
        if fix.verdict and fix.finished_at:
            kind = {"healed": "good", "not_healed": "bad"}.get(fix.verdict.outcome, "unsure")
            said.append((fix.finished_at, kind, f"verdict: {fix.said}"))
    closed = story.incident.closed_at
    if closed and story.incident.outcome != "healed":
        said.append((closed, "good" if story.incident.outcome == "recovered" else "plain", str(story.incident.outcome)))
    said.sort(key=lambda one: one[0])
    return [Mark(number, at, kind, text) for number, (at, kind, text) in enumerate(said[:MARKS], 1)]


TOLD = ("incident.diagnosed", "incident.reopened", "incident.escalated", "approval.", "change.", "fix.undone")
LINES = 60


def line(story: Story) -> tuple[list[tuple[datetime, str, str]], int]:
    """The time line for people: time, style and text, oldest first; and how many events it does not show."""
    told = [(event.at, "plain", event.text) for event in story.events if event.kind.startswith(TOLD)]
    told += [(mark.at, mark.kind, mark.text) for mark in marks(story)]
    told.sort(key=lambda one: one[0])
    return told[:LINES], len(told) - len(told[:LINES])


def bands(story: Story, resource: str) -> list[Band]:
    mine = [a for a in story.alerts if a.resource == resource and a.firing_at]
    alerts = [Band(a.firing_at, a.resolved_at or story.at, "alert") for a in mine if a.firing_at]
    return alerts + [_fixing(fix, story.at) for fix in story.fixes]


def _fixing(fix: Fix, at: datetime) -> Band:
    return Band(fix.started_at, fix.finished_at or at, "fix")


def curves(story: Story) -> tuple[list[tuple[str, Curve]], list[str]]:
    """The charts with the resource of each, and what was not drawn, with why."""
    begin, end = span(story)
    made: list[tuple[str, Curve]] = []
    left_out: list[str] = []
    numbered = marks(story)
    for (resource, metric), limits in looked_at(story).items():
        seen = story.seen.get(resource)
        points = [(r.at, _value(r, metric)) for r in seen.readings] if seen else []
        name = f"{metric} of {story.name(resource)}"
        if sum(value is not None for _, value in points) < 2:
            left_out.append(f"{name}: no readings of that time are kept")
        elif _still(points):
            left_out.append(f"{name}: {'yes' if points[-1][1] else 'no'} all the time")
        elif len(made) >= MOST:
            left_out.append(f"{name}: {MOST} charts are drawn at most")
        else:
            edge = _edge(story, points, end)
            drawn = Curve(metric, max(begin, points[0][0]), edge, points, limits, numbered, bands(story, resource))
            made.append((resource, drawn))
    return made, left_out


def _still(points: Iterable[tuple[datetime, float | None]]) -> bool:
    """Whether it is a flag that never changed: a flat line that tells nothing."""
    return {value for _, value in points} in ({0.0}, {1.0})


def _edge(story: Story, points: Iterable[tuple[datetime, float | None]], end: datetime) -> datetime:
    """No emptier than it must be: up to the last reading, where that is earlier."""
    took = (story.end - story.begin).total_seconds()
    last = max((at for at, _ in points), default=end)
    return min(end, max(last, story.end) + timedelta(seconds=max(1.0, took / 10)))


def _value(reading: Reading, metric: str) -> float | None:
    return reading.metrics.get(metric) if reading.ok or metric in reading.metrics else None
