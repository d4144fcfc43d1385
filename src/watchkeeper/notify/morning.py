"""The morning report: what happened since, for a terminal and to be pasted into a chat."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from watchkeeper.domain import Alert, Approval, Event, Fix, Incident, Plan
from watchkeeper.domain.proposal import Proposal, Score, score
from watchkeeper.domain.spoken import spoken
from watchkeeper.notify.figures import Cure, Figures, Place, Span, figures, lasting, undone
from watchkeeper.notify.report import seconds_between

MANY = 30
"""Lines of one part; how many were left out is said."""


@dataclass(frozen=True, slots=True)
class Blind:
    """Something that cannot be seen now."""

    resource: str
    why: str


@dataclass(frozen=True, slots=True)
class Morning:
    """Everything a report on a time tells; the lists newest last."""

    since: datetime
    until: datetime
    mode: str
    incidents: Sequence[Incident] = ()
    """Opened or closed within the time, or not over."""
    fixes: Sequence[Fix] = ()
    alerts: Sequence[Alert] = ()
    """Of these incidents."""
    proposals: Sequence[Proposal] = ()
    waiting: Sequence[Approval] = ()
    changes: Sequence[Event] = ()
    blind: Sequence[Blind] = ()
    drift: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Short names of resources by their ids."""
    unwatched: Collection[str] = ()
    """Roots of incidents that are not over and that are not watched now: nobody knows what became of them."""

    @property
    def score(self) -> Score:
        return score(self.proposals, self.until)

    @property
    def figures(self) -> Figures:
        return figures(self.incidents, self.fixes, self.alerts, self.since, self.until)

    def name(self, resource: str) -> str:
        return self.names.get(resource, resource)


def morning_json(morning: Morning) -> dict[str, Any]:
    """The whole of it for machines: nothing is left out."""
    told: dict[str, Any] = {
        "since": morning.since.isoformat(),
        "until": morning.until.isoformat(),
        "mode": morning.mode,
        "incidents": [
            TypeAdapter(Incident).dump_python(i, mode="json") | {"seconds": lasting(i)} for i in morning.incidents
        ],
        "fixes": TypeAdapter(list[Fix]).dump_python(list(morning.fixes), mode="json"),
        "proposals": [
            TypeAdapter(Proposal).dump_python(p, mode="json")
            | {"seconds": p.seconds, "needless": p.needless, "history": p.history}
            for p in morning.proposals
        ],
        "score": TypeAdapter(Score).dump_python(morning.score, mode="json"),
        "figures": TypeAdapter(Figures).dump_python(morning.figures, mode="json"),
        "waiting": TypeAdapter(list[Approval]).dump_python(list(morning.waiting), mode="json"),
        "changes": TypeAdapter(list[Event]).dump_python(list(morning.changes), mode="json"),
        "blind": [{"resource": blind.resource, "why": blind.why} for blind in morning.blind],
        "drift": list(morning.drift),
    }
    return told


def morning_markdown(morning: Morning) -> str:
    """Bold headings and bullets only: Slack and Markdown both show them."""
    head = f"*Watchkeeper, {_when(morning.since)} to {_when(morning.until)} UTC* (mode {morning.mode})"
    lines = [head, _summary(morning)]
    counted = morning.figures
    for title, found in (
        ("Needs you", _needs(morning)),
        ("Figures", _figures(counted)),
        ("What fixed what", [_cure(cure) for cure in counted.cures]),
        ("By resource", [_place(morning, place) for place in counted.places]),
        ("Incidents", [_incident(morning, incident) for incident in morning.incidents]),
        ("Done", [_fix(morning, fix) for fix in morning.fixes]),
        ("It would have done", [_proposal(morning, proposal) for proposal in morning.proposals]),
        ("Score", _score(morning.score)),
        ("Changes noticed", [f"{_clock(e.at)} {e.text}" for e in morning.changes]),
        ("Live, and not in your configuration", list(morning.drift)),
        ("Could not be seen now", [f"{blind.resource}: {blind.why}" for blind in morning.blind]),
    ):
        if found:
            more = [f"and {len(found) - MANY} more: `--format json` has all"] if len(found) > MANY else []
            lines += ["", f"*{title}*", *(f"• {_line(text)}" for text in [*found[:MANY], *more])]
    return "\n".join(lines) + "\n"


def _summary(morning: Morning) -> str:
    ends: dict[str, int] = {}
    for incident in morning.incidents:
        said = (incident.outcome or ("with a person" if incident.status == "escalated" else "not over")).replace(
            "_", " "
        )
        ends[said] = ends.get(said, 0) + 1
    told = ", ".join(f"{count} {said}" for said, count in ends.items())
    incidents = f"{_count(len(morning.incidents), 'incident')}: {told}" if told else "No incident"
    parts = [incidents, _count(len(morning.fixes), "fix", "fixes"), _count(len(morning.changes), "change")]
    if morning.blind:
        parts.append(f"{len(morning.blind)} not seen")
    return " · ".join(parts)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _needs(morning: Morning) -> list[str]:
    waiting = [
        f"`{a.id}` {_steps(morning, a.plan)} waits: `watchkeeper approve {a.id}` or `watchkeeper reject {a.id}`"
        for a in morning.waiting
    ]
    handed = [
        f"`{i.id}` {i.title}: {i.reason.rstrip('.')}; `watchkeeper show {i.id}`"
        for i in morning.incidents
        if i.status == "escalated" and i.root not in morning.unwatched
    ]
    left = [
        f"`{i.id}` {i.title}: not watched now; `watchkeeper close {i.id} --note WHY` ends it"
        for i in morning.incidents
        if i.status == "escalated" and i.root in morning.unwatched
    ]
    return waiting + handed + left


def _incident(morning: Morning, incident: Incident) -> str:
    took = lasting(incident)
    ended = (incident.outcome or incident.status).replace("_", " ")
    ended = "nothing is done in mode observe" if ended == "diagnosing" and morning.mode == "observe" else ended
    again = " in all" if incident.reopened else ""
    lasted = f" after {spoken(took)}{again}" if took is not None else ", not over"
    back = f", came back {incident.reopened}×" if incident.reopened else ""
    because = f": {incident.reason}" if incident.reason else ""
    return f"{_clock(incident.opened_at)} `{incident.id}` {incident.title}: {ended}{lasted}{back}{because}"


def _fix(morning: Morning, fix: Fix) -> str:
    took = seconds_between(fix.started_at, fix.finished_at)
    by = f"approved by {fix.approved_by}" if fix.approved_by else f"allowed by {fix.decision.policy}"
    taken_back = ", undone" if undone(fix) else ""
    said = f"; {'; '.join(fix.verdict.reasons)}" if fix.verdict else ""
    lasted = f" in {spoken(took)}" if took is not None else ""
    steps = _steps(morning, fix.plan)
    return f"{_clock(fix.started_at)} `{fix.id}` {steps}: {fix.said}{taken_back}{lasted}, {by}{said}"


def _proposal(morning: Morning, proposal: Proposal) -> str:
    """What, when, with what likely result, against what then happened."""
    then = f", then {', '.join(_steps(morning, plan, where=False) for plan in proposal.then)}" if proposal.then else ""
    why = "nobody answered" if proposal.held == "unanswered" else "mode observe"
    unknown = "not known: it is not watched now"
    happened = proposal.what or (unknown if proposal.plan.resources[0] in morning.unwatched else "still unwell")
    needless = " (it would have been needless)" if proposal.needless else ""
    return (
        f"{_clock(proposal.decided_at)} `{proposal.incident}` {spoken(proposal.after_seconds)} after the first sign: "
        f"{_steps(morning, proposal.plan)}{then}; {proposal.history}; in mode auto policy says "
        f"{proposal.policy.outcome} ({proposal.policy.policy}); not done: {why}. What happened: {happened}{needless}."
    )


def _score(counted: Score) -> list[str]:
    if not counted.proposals:
        return []
    lines = [
        f"{_count(counted.proposals, 'time')} it had a plan: policy would in mode auto have allowed {counted.allowed}, "
        f"asked for {counted.asked}, denied {counted.denied}",
        f"{counted.same} × a person did the same, {counted.other} × something else, {counted.recovered} × it recovered "
        f"with no change seen ({counted.needless} of them before the plan would have been through: needless), "
        f"{counted.gone} × it was removed, {counted.unwell} × not over",
    ]
    if counted.saved_seconds:
        lines.append(
            f"at most {spoken(counted.saved_seconds)} sooner, had each plan not denied by policy healed at once"
        )
    return lines


def _figures(of: Figures) -> list[str]:
    if not of.incidents:
        return []
    rate = "nothing was changed in any"
    if of.success_ratio is not None:
        rate = f"{of.success_ratio:.0%}: {of.healed} healed of {of.acted} in which something was changed"
    return [
        f"success: {rate}",
        f"to detect: {_span(of.detect)}; to repair: {_span(of.repair)}",
        f"{_count(of.did_not_help, 'fix', 'fixes')} did not help, {of.undone} undone, {of.needless} needless (it ended "
        "by itself)",
    ]


def _span(span: Span) -> str:
    if span.median is None or span.worst is None:
        return "nothing to measure"
    return f"{spoken(span.median)} (median of {span.number}), {spoken(span.worst)} at worst"


def _cure(cure: Cure) -> str:
    tools = " + ".join(f"`{tool}`" for tool in cure.tools)
    took = f", {spoken(cure.median_seconds)} (median)" if cure.median_seconds is not None else ""
    ends = ((cure.not_healed, "did not help"), (cure.inconclusive, "cannot be told"), (cure.undone, "undone"))
    others = "".join(f", {number} {said}" for number, said in ends if number)
    return f"{cure.cause} {tools} ({cure.author}): healed {cure.healed} of {cure.tried}{others}{took}"


def _place(morning: Morning, place: Place) -> str:
    ends = ((place.healed, "healed"), (place.recovered, "recovered"), (place.with_a_person, "with a person"))
    told = ", ".join(f"{number} {said}" for number, said in ends if number)
    back = f", came back {place.came_back}×" if place.came_back else ""
    return (
        f"{morning.name(place.resource)}: {_count(place.incidents, 'incident')}{f' ({told})' if told else ''}{back}, "
        f"{_count(place.fixes, 'fix', 'fixes')}, unwell for {spoken(place.unwell_seconds)} in all"
    )


def _steps(morning: Morning, plan: Plan, *, where: bool = True) -> str:
    steps = " + ".join(
        f"`{s.tool}{''.join(f' {name}={value}' for name, value in s.arguments.items())}`" for s in plan.steps
    )
    return f"{steps} on {', '.join(morning.name(key) for key in plan.resources)}" if where else steps


def _line(text: str) -> str:
    return " ".join(text.split())


def _clock(at: datetime) -> str:
    return at.strftime("%d %b %H:%M")


def _when(at: datetime) -> str:
    return at.strftime("%d %b %Y %H:%M")
