"""The page on one incident."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchkeeper.domain import Fix, Step, StepRecord
from watchkeeper.domain.change import NOTHING_CHANGED
from watchkeeper.domain.figures import figure, unit, words
from watchkeeper.domain.spoken import spoken
from watchkeeper.notify.figures import changed
from watchkeeper.notify.html.chart import Curve, Drawing, draw
from watchkeeper.notify.html.curves import curves, line, marks
from watchkeeper.notify.html.page import capital, clock, render
from watchkeeper.notify.html.story import Story, action, deed, headline, impact, lost, needs, proof, shift
from watchkeeper.notify.report import beside, parted

ROWS = 40
"""Of the table beside a chart."""
BADGES = {
    "healed": "good",
    "recovered": "good",
    "gone": "plain",
    "by_human": "plain",
    "merged": "plain",
    "still well": "good",
    "not healed": "bad",
    "not tried": "plain",
    "inconclusive": "unsure",
    "escalated": "bad",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure with its name and what it means."""

    name: str
    value: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A metric, drawn for both sizes, in words and as a table."""

    title: str
    name: str
    text: str
    note: str
    proof: tuple[str, str] | None
    wide: Drawing
    narrow: Drawing
    table: Sequence[tuple[datetime, str]]
    of: int

    @property
    def thinned(self) -> bool:
        return len(self.table) < self.of


def incident_html(story: Story) -> str:
    """One file: everything a person wants to know of an incident, what matters first."""
    incident = story.incident
    drawn, left_out = curves(story)
    charts = [_chart(story, resource, curve) for resource, curve in drawn]
    ended = incident.outcome or incident.status
    page: dict[str, Any] = {
        "headline": headline(story),
        "nothing_changed": NOTHING_CHANGED,
        "ended": incident.said,
        "badge": BADGES.get(ended, "fix"),
        "lost": lost(story),
        "needs": needs(story),
        "tiles": _tiles(story),
        "impact": impact(story),
        "proofs": [reason for fix in story.fixes[-1:] if fix.verdict for reason in fix.verdict.reasons],
        "charts": charts,
        "undrawn": left_out,
        "blind": any(chart.wide.blind for chart in charts),
        "marks": marks(story),
        "line": line(story),
        "events": story.events,
        "changes": [
            (heading, [(beside(change.at, incident.opened_at), change.text) for change in part])
            for heading, part in parted(story.changes, incident.opened_at)
        ],
        "fixes": [_fix(story, fix) for fix in story.fixes],
    }
    return render("incident.html.j2", page=page, incident=incident, story=story, at=story.at)


def _tiles(story: Story) -> list[Tile]:
    """Only what the data give."""
    found: list[Tile] = []
    for name, seconds, text in (
        ("Unwell for", story.unwell, "time with an alert pending or firing"),
        ("Detected after", story.seeing, "first sign to alert"),
        ("Acted after", story.deciding, "opening to the first fix"),
        (
            "Repaired after",
            story.repairing,
            "opening to proof" + (", relapses included" if story.incident.reopened else ""),
        ),
    ):
        if seconds is not None:
            found.append(Tile(name, spoken(seconds), text))
    acted = [fix for fix in story.fixes if changed(fix)]
    undone = sum(record.status == "done" for fix in story.fixes for record in fix.undo)
    tried = f"{len(acted)} changed something" + (f", {undone} steps taken back" if undone else "")
    found.append(Tile("Fixes tried", str(len(story.fixes)), tried))
    return found


def _chart(story: Story, resource: str, curve: Curve) -> Chart:
    of = unit(curve.metric)
    title = f"{capital(words(curve.metric))} of {story.name(resource)}"
    known = curve.known
    seen = story.seen[resource]
    cure = story.cure
    proven = next(((b, a) for name, b, a in (proof(cure) if cure else ()) if name == curve.metric), None)
    values = [value for _, value in known]
    limits = "; ".join(limit.text for limit in curve.limits)
    moments = "; ".join(f"{mark.number}: {clock(mark.at)} {mark.text}" for mark in curve.marks)
    text = (
        f"From {clock(curve.begin)} to {clock(curve.end)}: lowest {figure(min(values), of)}, highest "
        f"{figure(max(values), of)}, at the end {figure(values[-1], of)}."
        + (f" Limits: {limits}." if limits else "")
        + f" Marks: {moments}."
    )
    notes = [f"Drawn from {len(seen.readings)} of {seen.of} readings."] if len(seen.readings) < seen.of else []
    notes += [f"Looked at as {limits.replace(' 0', ' no').replace(' 1', ' yes')}."] if curve.flag and limits else []
    every = max(1, -(-len(curve.points) // ROWS))
    table = [(at, "no data" if v is None else _said(v, of, curve)) for at, v in list(curve.points)[::every]]
    wide, narrow = draw(curve, "wide"), draw(curve, "narrow")
    return Chart(title, curve.metric, text, " ".join(notes), proven, wide, narrow, table, len(curve.points))


def _said(value: float, of: str, curve: Curve) -> str:
    return ("no", "yes")[int(value)] if curve.flag else figure(value, of)


def _fix(story: Story, fix: Fix) -> dict[str, Any]:
    return {
        "deed": deed(fix),
        "cause": fix.plan.diagnosis.cause if fix.plan.diagnosis else "",
        "deeds": _deeds(story, fix),
        "ended": fix.said,
        "badge": BADGES.get(fix.said, "fix"),
        "chain": _chain(story, fix),
        "steps": [_step(story, step, fix.step(index)) for index, step in enumerate(fix.plan.steps)],
        "reasons": fix.verdict.reasons if fix.verdict else (),
        "undone": [
            f"{record.tool}: {record.status}" + (f" ({record.error})" if record.error else "") for record in fix.undo
        ],
    }


def _deeds(story: Story, fix: Fix) -> str:
    """What was done as a sentence: each step that was carried out, with what it changed, and how long it all took."""
    parts: list[str] = []
    for index, step in enumerate(fix.plan.steps):
        record = fix.step(index)
        if record is None or record.status not in ("done", "unknown", "failed"):
            continue
        changes = shift(record.before, record.after)
        how = {"failed": " (failed)", "unknown": " (whether it was done cannot be told)"}.get(record.status, "")
        parts.append(
            f"{action(step.tool, step.resource)} on {story.name(step.resource)}"
            + (f": {changes}" if changes else "")
            + how
        )
    if not parts:
        return ""
    took = (fix.finished_at - fix.started_at).total_seconds() if fix.finished_at else None
    outcome = fix.said if fix.verdict else ""
    ended = f" {capital(outcome)} after {spoken(took)}." if outcome and took is not None else ""
    return f"{capital('; '.join(parts))}.{ended}"


def _chain(story: Story, fix: Fix) -> list[str]:
    """Who or what decided: the plan's author, policy, approval, who carried it out."""
    decision = fix.decision
    policy = {"allow": "allowed it", "ask": "asked for a person", "deny": "denied it"}[decision.outcome]
    chain = [
        f"Planned by {fix.plan.author} at {clock(fix.plan.created_at)}.",
        f"Policy {decision.policy} {policy}: {decision.reason}",
    ]
    for approval in story.approvals:
        if approval.fix == fix.id:
            who = approval.decided_by or "nobody yet"
            note = f" “{approval.note}”" if approval.note else ""
            chain.append(
                f"Asked at {clock(approval.created_at)}; {approval.status} by {who} at "
                f"{clock(approval.decided_at)}.{note}"
            )
    if fix.approved_by and not any(approval.fix == fix.id for approval in story.approvals):
        chain.append(f"Approved by {fix.approved_by}.")
    chain.append(f"Begun at {clock(fix.started_at)} for {fix.principal.id}.")
    return chain


def _step(story: Story, step: Step, record: StepRecord | None) -> dict[str, Any]:
    took = (
        (record.finished_at - record.started_at).total_seconds()
        if record and record.started_at and record.finished_at
        else None
    )
    return {
        "action": action(step.tool, step.resource),
        "tool": step.tool,
        "where": story.name(step.resource),
        "arguments": _arguments(step.arguments),
        "effect": step.effect.value,
        "status": (record.status if record else "not begun")
        + (f" in {figure(took, 'seconds')}" if took is not None else ""),
        "shift": shift(record.before, record.after) if record and record.status == "done" else "",
        "why": step.why,
        "error": record.error if record else None,
        "by_hand": step.by_hand,
    }


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in arguments.items())
