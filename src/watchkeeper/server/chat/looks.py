"""The look-ups of a conversation: state, readings over time, history, log lines, runbooks, the map."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from annotated_types import Ge, Le, MaxLen

from watchkeeper.domain import Alert, Effect, Event, Incident, Reading, Resource, tool
from watchkeeper.server import incidents as told
from watchkeeper.server import resources
from watchkeeper.server.chat.eyes import LEVELS, Sight
from watchkeeper.server.finding import found as matching
from watchkeeper.server.map import dependency_map
from watchkeeper.server.views import FixView

Name = Annotated[str, MaxLen(300)]
When = Annotated[str, MaxLen(40)]
MOST = 5000
"""Looks of one question."""
FIGURES = 14
"""Metrics of one resource that are shown where none is named."""


@tool(Effect.READ)
async def status(eyes: Sight, resource: Name = "", limit: Annotated[int, Ge(1), Le(100)] = 25) -> str:
    """How everything is now, the unwell first; or one resource with all its figures. Begin here: it gives the names
    that the other look-ups take."""
    if resource:
        return await _one(eyes, resource)
    page = await resources.status(eyes.runtime, eyes.who, limit, None)
    counts = ", ".join(f"{number} {health.value}" for health, number in page.counts.items() if number)
    lines = [f"{page.total} resources: {counts}. Mode {page.mode}."]
    for item in page.items:
        value = f" {item.metric.name}={item.metric.value:.4g}" if item.metric and item.metric.value is not None else ""
        rules = ", ".join(alert.rule for alert in item.alerts if alert.status == "firing")
        tail = f" alerts: {rules}" if rules else ""
        tail += f" in {item.incident}" if item.incident else ""
        lines.append(f"{item.slug}: {item.kind}, {item.health.value}, {eyes.text(item.state, 120)}{value}{tail}")
        if item.incident and (known := await eyes.runtime.store.find(Incident, item.incident)):
            eyes.incident(known)
    if page.total > len(page.items):
        lines.append(f"{page.total - len(page.items)} more are left out")
    return "\n".join(lines)


async def _one(eyes: Sight, slug: str) -> str:
    detail = await resources.show_resource(slug, eyes.runtime, eyes.who)
    lines = [f"{detail.slug}: {detail.kind}, {detail.environment}, {detail.health.value}, {eyes.text(detail.state)}"]
    if detail.depends_on:
        lines.append(f"needs {', '.join(eyes.slug(key) for key in detail.depends_on)}")
    if reading := detail.reading:
        figures = " ".join(f"{name}={value:.5g}" for name, value in reading.metrics.items() if value)
        mark = eyes.reading(reading, eyes.text(reading.error or reading.state, 120))
        lines.append(f"[{mark}] {eyes.time(reading.at)} {eyes.text(figures, 2500)} (figures that are 0 are left out)")
        facts = "; ".join(f"{name}: {text}" for name, text in reading.facts.items() if text)
        lines.append(eyes.text(facts, 800))
    lines += [f"alert {a.rule}, {a.status}, {a.severity}: {eyes.text(a.why, 200)}" for a in detail.alerts]
    return "\n".join(line for line in lines if line)


@tool(Effect.READ)
async def incidents(
    eyes: Sight,
    resource: Name = "",
    since: When = "24h",
    until: When = "",
    limit: Annotated[int, Ge(1), Le(50)] = 15,
) -> str:
    """Incidents that were open in a time, newest first, each with its id, cause and end. Times: `2h` ago, `09:00`,
    `2026-11-21T18:00`; without a zone they are the asker's."""
    began, ended = eyes.since(since, timedelta(days=1)), eyes.until(until)
    key = (await eyes.key(resource))[0] if resource else None
    found = [
        one
        for one in await eyes.runtime.store.select(Incident, limit=MOST, before=ended)
        if (one.closed_at is None or one.closed_at >= began) and (key is None or key in one.resources)
    ]
    lines: list[str] = []
    for one in found[:limit]:
        mark = eyes.incident(one)
        end = f"{one.outcome or 'closed'} {eyes.time(one.closed_at)}" if one.closed_at else one.status
        cause = f": {eyes.text(one.diagnosis.cause, 200)}" if one.diagnosis else ""
        title = eyes.text(one.title, 120)
        lines.append(f"[{mark}] {eyes.time(one.opened_at)} {title}, root {eyes.slug(one.root)}, {end}{cause}")
    if len(found) > limit:
        lines.append(f"{len(found) - limit} more are left out")
    return "\n".join(lines) or f"no incident was open between {eyes.time(began)} and {eyes.time(ended)}"


@tool(Effect.READ)
async def incident(eyes: Sight, id: Annotated[str, MaxLen(60)]) -> str:
    """The whole story of one incident: alerts, diagnosis with its evidence, what was tried with what result, and its
    history."""
    found = await told.show_incident(id, eyes.runtime, eyes.who)
    one = await eyes.runtime.store.get(Incident, id)
    mark, diagnosis = eyes.incident(one), one.diagnosis
    lines = [f"[{mark}] {eyes.text(one.title)}, opened {eyes.time(one.opened_at)}, {one.outcome or one.status}"]
    if one.reason:
        lines.append(eyes.text(one.reason, 600))
    if diagnosis:
        sure = "" if diagnosis.confidence is None else f", confidence {diagnosis.confidence:.2f}"
        lines.append(
            f"cause ({diagnosis.author}{sure}), root {eyes.slug(diagnosis.root)}: {eyes.text(diagnosis.cause)}"
        )
        lines.append(eyes.text(diagnosis.reasoning, 800))
        lines += [
            f"evidence: {eyes.slug(e.resource)} {eyes.time(e.at)} {eyes.text(e.what)}" for e in diagnosis.evidence
        ]
        lines += [f"ruled out: {eyes.text(why)}" for why in diagnosis.ruled_out]
    lines += [_alert(eyes, alert) for alert in found.incident.alerts]
    for fix in found.fixes:
        lines += _fix(eyes, fix)
    lines += ["history:", *(_event(eyes, event) for event in found.events[-25:])]
    lines += [f"changed lately: {_event(eyes, event)}" for event in found.changes[:8]]
    return "\n".join(line for line in lines if line)


def _alert(eyes: Sight, one: Alert) -> str:
    over = f", over {eyes.time(one.resolved_at)}" if one.resolved_at else ""
    value = "" if one.value is None else f" ({one.value:.4g})"
    where = f"{one.rule} on {eyes.slug(one.resource)}"
    return f"alert {where}, {one.severity}{value}, since {eyes.time(one.pending_at)}{over}: {eyes.text(one.why, 200)}"


def _fix(eyes: Sight, fix: FixView) -> list[str]:
    mark = eyes.fix(fix)
    verdict = f"{fix.said}: {'; '.join(fix.verdict.reasons)}" if fix.verdict else fix.said
    lines = [f"[{mark}] {eyes.time(fix.started_at)} by {fix.plan.author}: {eyes.text(verdict, 500)}"]
    for step in fix.steps:
        said = f"  {step.tool} {dict(step.arguments)} on {eyes.slug(step.resource)}: {step.status} {step.error or ''}"
        lines.append(eyes.text(said))
    return lines


def _event(eyes: Sight, event: Event) -> str:
    return f"[{eyes.event(event)}] {eyes.time(event.at)} {event.kind}: {eyes.text(event.text, 240)}"


@tool(Effect.READ)
async def readings(
    eyes: Sight,
    resource: Name,
    metrics: Annotated[list[str], MaxLen(8)] | None = None,
    since: When = "30m",
    until: When = "",
    points: Annotated[int, Ge(2), Le(40)] = 12,
) -> str:
    """What was read of a resource over time: least, mean and greatest of each metric, and a few looks to be cited.
    Without `metrics`, those that moved most. Units are in the names: `_ratio` is 0 to 1."""
    key, _ = await eyes.key(resource)
    began, ended = eyes.since(since, timedelta(minutes=30)), eyes.until(until)
    looks = [r for r in await _looks(eyes, key, began, ended) if r.ok]
    if not looks:
        return f"no readings of {resource} between {eyes.time(began)} and {eyes.time(ended)}"
    known = sorted({name for look in looks for name in look.metrics})
    if unknown := [name for name in metrics or () if name not in known]:
        return f"not read of it: {', '.join(eyes.text(u, 80) for u in unknown)}. There are: {', '.join(known)}"
    names = metrics or _moved(looks)
    lines: list[str] = []
    for name in names:
        values = [look.metrics[name] for look in looks if name in look.metrics]
        least, most, mean = min(values), max(values), sum(values) / len(values)
        lines.append(f"{name}: least {least:.5g}, mean {mean:.5g}, greatest {most:.5g}")
    span = f"{len(looks)} looks from {eyes.time(looks[0].at)} to {eyes.time(looks[-1].at)}"
    course = f"{resource}, {span}: {'; '.join(lines)}"
    lines = [f"[{eyes.answer(key, course[:200], course)}] {span}", *lines]
    for look in _chosen(looks, names, points):
        figures = " ".join(f"{name}={look.metrics[name]:.5g}" for name in names if name in look.metrics)
        lines.append(f"[{eyes.reading(look, figures)}] {eyes.time(look.at)} {figures}")
    return "\n".join(lines)


async def _looks(eyes: Sight, key: str, since: datetime, until: datetime) -> list[Reading]:
    """From memory, and from the store before that."""
    watcher = eyes.runtime.watch.watchers.get(key)
    ring = [one for one in watcher.ring if since <= one.at <= until] if watcher else []
    before = min(ring[0].at, until) if ring else until
    kept = await eyes.runtime.store.readings(key, since=since, until=before, limit=MOST)
    known = {one.at for one in ring}
    return [*(one for one in kept if one.at not in known), *ring]


def _moved(looks: Sequence[Reading]) -> list[str]:
    """The metrics that moved most against their size."""
    change: dict[str, float] = {}
    for name in looks[-1].metrics:
        values = [look.metrics[name] for look in looks if name in look.metrics]
        if spread := max(values) - min(values):
            change[name] = spread / (abs(max(values)) + abs(min(values)))
    return sorted(change, key=lambda name: -change[name])[:6] or sorted(looks[-1].metrics)[:FIGURES]


def _chosen(looks: Sequence[Reading], names: Sequence[str], points: int) -> list[Reading]:
    """Evenly, and those with the least and the greatest values."""
    step = max(1.0, (len(looks) - 1) / (points - 1))
    chosen = {min(round(i * step), len(looks) - 1) for i in range(min(points, len(looks)))}
    for name in names[:3]:
        there = [i for i, look in enumerate(looks) if name in look.metrics]
        for best in (min, max):
            chosen.add(best(there, key=lambda i: looks[i].metrics[name]))
    return [looks[i] for i in sorted(chosen)]


@tool(Effect.READ)
async def history(
    eyes: Sight,
    resource: Name = "",
    since: When = "24h",
    until: When = "",
    text: Name = "",
    limit: Annotated[int, Ge(1), Le(100)] = 40,
) -> str:
    """What happened, oldest first: alerts, incidents, fixes, approvals, changes of configuration and of what runs."""
    began, ended = eyes.since(since, timedelta(days=1)), eyes.until(until)
    keys = [key for key in await eyes.key(resource) if key] if resource else ()
    found = await eyes.runtime.store.events(resources=keys, since=began, limit=MOST)
    wanted = [e for e in found if e.at <= ended and text.lower() in f"{e.kind} {e.text}".lower()]
    wanted = [e for e in wanted if not e.kind.startswith(("llm.", "alert.pending"))]
    lines = [f"{len(wanted) - limit} earlier ones are left out: ask more narrowly"] if len(wanted) > limit else []
    return "\n".join([*lines, *(_event(eyes, event) for event in wanted[-limit:])]) or "nothing happened in that time"


@tool(Effect.READ)
async def logs(
    eyes: Sight,
    resource: Name = "",
    text: Name = "",
    since: When = "1h",
    until: When = "",
    limit: Annotated[int, Ge(1), Le(60)] = 20,
) -> str:
    """Log lines kept (WARNING and worse) that hold a text, of one resource and what it runs on, or of all, newest
    first."""
    keys = [key for key in await eyes.key(resource) if key] if resource else None
    began, ended = eyes.since(since, timedelta(hours=1)), eyes.until(until)
    found = await eyes.runtime.store.search_logs(
        text=text, resources=keys, levels=LEVELS, since=began, until=ended, limit=limit
    )
    lines = [
        f"[{eyes.line(seq, line)}] {eyes.time(line.at)} {eyes.slug(line.resource)} {line.level} {eyes.text(line.text)}"
        for seq, line in found
    ]
    return "\n".join(lines) or "no such lines"


@tool(Effect.READ)
async def runbooks(eyes: Sight, query: Name = "", kind: Annotated[str, MaxLen(60)] = "") -> str:
    """What Watchkeeper knows to do, by words of a symptom, a cause or a tool; the page too where one is named."""
    books = matching((book for book in eyes.runtime.registry.runbooks if not kind or book.kind == kind), query)[:8]
    lines: list[str] = []
    for book in books:
        ladder = " → ".join(" + ".join(step.tool for step in rung) for rung in book.ladder)
        lines.append(eyes.text(f"{book.name} ({book.kind}): {book.cause} Ladder: {ladder or 'none'}", 600))
    if len(books) == 1:
        lines.append(eyes.text(books[0].page, 3000))
    return "\n".join(lines) or "no runbook is like that"


@tool(Effect.READ)
async def map(eyes: Sight, resource: Name = "") -> str:
    """What needs what, and how that is known: of everything, or of one resource and its neighbours."""
    key = (await eyes.key(resource))[0] if resource else None
    view = await dependency_map(eyes.runtime, eyes.who)
    edges = [edge for edge in view.edges if key is None or key in (edge.source, edge.target)]
    health = {node.id: node.health.value for node in view.nodes}
    lines = [
        f"{eyes.slug(edge.source)} ({health.get(edge.source, '')}) needs {eyes.slug(edge.target)} "
        f"({health.get(edge.target, '')}): {eyes.text(edge.known[0].evidence, 120)}"
        for edge in edges[:80]
    ]
    lines += [_carried(eyes, one, health) for one in _on_hosts(eyes, key)]
    return "\n".join(lines) or "nothing is known to need anything there"


def _on_hosts(eyes: Sight, key: str | None) -> list[Resource]:
    known = eyes.runtime.watch.fleet.resources.values()
    return [one for one in known if one.runs_on and key in (None, one.id, one.runs_on)][:60]


def _carried(eyes: Sight, one: Resource, health: dict[str, str]) -> str:
    return (
        f"{one.slug} ({health.get(one.id, '')}) runs on {eyes.slug(one.runs_on)} ({health.get(one.runs_on or '', '')})"
    )


LOOKS = (status, incidents, incident, readings, history, logs, runbooks, map)
