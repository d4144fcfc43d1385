"""The story of an incident, for people (Markdown) and machines (JSON)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter

from watchkeeper.domain import Alert, Event, Evidence, Fix, Incident
from watchkeeper.domain.change import NOTHING_CHANGED
from watchkeeper.domain.spared import spared
from watchkeeper.domain.spoken import spoken
from watchkeeper.domain.unwatched import unwatched
from watchkeeper.notify.figures import lasting


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)


def report_json(
    incident: Incident,
    alerts: Sequence[Alert],
    fixes: Sequence[Fix],
    events: Sequence[Event],
    changes: Sequence[Event] = (),
) -> dict[str, Any]:
    """Everything known of an incident, with its times in seconds."""
    pending = min((alert.pending_at for alert in alerts), default=incident.opened_at)
    first = min(fixes, key=lambda fix: fix.started_at, default=None)
    return {
        "incident": TypeAdapter(Incident).dump_python(incident, mode="json"),
        "alerts": TypeAdapter(list[Alert]).dump_python(list(alerts), mode="json"),
        "fixes": TypeAdapter(list[Fix]).dump_python(list(fixes), mode="json"),
        "events": TypeAdapter(list[Event]).dump_python(list(events), mode="json"),
        "changes": TypeAdapter(list[Event]).dump_python(list(changes), mode="json"),
        "seconds": {
            "seen_to_firing": seconds_between(pending, incident.opened_at),
            "firing_to_first_plan": seconds_between(incident.opened_at, first.plan.created_at if first else None),
            "open_to_closed": lasting(incident),
            "unwatched": round(unwatched(events, incident.opened_at, incident.closed_at), 3),
        },
    }


def report_markdown(
    incident: Incident,
    alerts: Sequence[Alert],
    fixes: Sequence[Fix],
    events: Sequence[Event],
    changes: Sequence[Event] = (),
) -> str:
    """The same as a page: what, why, what changed lately, what was done, what proves it, the time line."""
    lasted = lasting(incident)
    away = unwatched(events, incident.opened_at, incident.closed_at)
    lines = [
        f"# {incident.id}: {incident.title}",
        "",
        f"**{incident.said}**"
        + (f" after {lasted:.1f} s" if lasted is not None else "")
        + (f", {away:.1f} s of which nobody watched" if away else "")
        + f" · {_roots(incident)}",
        "",
        *([f"> {incident.reason}", ""] if incident.reason else []),
        *([f"It goes on in {incident.merged_into}.", ""] if incident.merged_into else []),
        *([f"Part of it: {', '.join(incident.absorbed)}.", ""] if incident.absorbed else []),
        "## Alerts",
        "",
        "| rule | resource | severity | fired | resolved |",
        "|---|---|---|---|---|",
        *(
            f"| {_cell(a.rule)} | {_cell(a.resource)} | {a.severity} "
            f"| {_clock(a.firing_at)} | {_clock(a.resolved_at)} |"
            for a in sorted(alerts, key=lambda alert: alert.pending_at)
        ),
    ]
    if incident.diagnosis:
        diagnosis = incident.diagnosis
        sure = "" if diagnosis.confidence is None else f", confidence {diagnosis.confidence:.2f}"
        lines += ["", "## Diagnosis", "", f"{diagnosis.cause} ({diagnosis.author}{sure})", "", diagnosis.reasoning, ""]
        lines += [f"- {_whose(evidence, diagnosis.root)}{evidence.what}" for evidence in diagnosis.evidence]
        lines += [f"- {told}" for told in spared(incident.roots, alerts)]
        if diagnosis.against:
            lines += ["", "Against it:", "", *(f"- {evidence.what}" for evidence in diagnosis.against)]
        if diagnosis.ruled_out:
            lines += ["", "Passed over:", "", *(f"- {passed}" for passed in diagnosis.ruled_out)]
        if incident.refusals:
            lines += ["", "Refused:", "", *(f"- `{key}`: {why}" for key, why in incident.refusals.items())]
    for heading, part in parted(changes, incident.opened_at):
        lines += ["", f"## {heading}", ""]
        lines += [f"- {beside(change.at, incident.opened_at)}: {change.text}" for change in part] or [NOTHING_CHANGED]
    for fix in sorted(fixes, key=lambda known: known.started_at):
        lines += ["", *_fix(fix)]
    lines += ["", "## Time line", "", *(f"- {_clock(event.at)} `{event.kind}` {event.text}" for event in events)]
    return "\n".join(lines) + "\n"


def _whose(evidence: Evidence, root: str) -> str:
    """Of what it tells, unless that is the root."""
    return "" if evidence.resource == root else f"`{evidence.resource}`: "


def _roots(incident: Incident) -> str:
    named = ", ".join(f"`{root}`" for root in incident.roots)
    return f"root: {named}" if len(incident.roots) == 1 else f"roots: {named}"


def parted(changes: Sequence[Event], opened_at: datetime) -> list[tuple[str, list[Event]]]:
    """Each under its heading: what changed before an incident opened may be why, what changed since is not."""
    before = [change for change in changes if change.at <= opened_at]
    since = [change for change in changes if change.at > opened_at]
    return [("Changed before it opened", before), *([("Changed since", since)] if since else [])]


def beside(at: datetime, opened_at: datetime) -> str:
    """How long before or after an incident opened."""
    seconds = (opened_at - at).total_seconds()
    return f"{spoken(abs(seconds))} {'before' if seconds >= 0 else 'after'} it opened"


def _fix(fix: Fix) -> list[str]:
    asks = f"policy `{fix.decision.policy}` asks a person; " if fix.decision.outcome == "ask" else ""
    by = f"{asks}approved by {fix.approved_by}" if fix.approved_by else f"allowed by policy `{fix.decision.policy}`"
    lines = [f"## Fix {fix.id}: {fix.said}", "", f"{fix.plan.author} · {by}", ""]
    for index, step in enumerate(fix.plan.steps):
        record = fix.step(index)
        took = seconds_between(record.started_at, record.finished_at) if record else None
        status = record.status if record else "not begun"
        output: Any = record.output if record else None
        gave = cast("dict[str, Any]", output) if isinstance(output, dict) else {}
        lines.append(
            f"- `{step.tool}` {_arguments(step.arguments)} on `{step.resource}` ({step.effect}): {status}"
            + (f" in {took:.2f} s" if took is not None else "")
            + (f" — {record.error}" if record and record.error else "")
            + (f" — gave {_arguments(gave)}" if gave else "")
        )
        if step.why:
            lines.append(f"  - why: {step.why}" + (f"; expected: {step.expected}" if step.expected else ""))
        if step.by_hand:
            lines.append(f"  - by hand: `{step.by_hand}`")
    lines += [f"- undone: `{record.tool}` {record.status}" for record in fix.undo]
    if fix.verdict:
        lines += ["", "Proof:", "", *(f"- {reason}" for reason in fix.verdict.reasons)]
    return lines


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in arguments.items())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _clock(at: datetime | None) -> str:
    return at.strftime("%H:%M:%S.%f")[:-3] if at else "—"
