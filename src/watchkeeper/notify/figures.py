"""The figures of a period: how often it succeeded, how long that took, what fixed what, where. Pure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchkeeper.domain import Alert, Effect, Fix, Incident
from watchkeeper.domain.evaluation import counts


@dataclass(frozen=True, slots=True)
class Span:
    """Of `number` times, in seconds; None where there is none."""

    number: int
    median: float | None
    worst: float | None


@dataclass(frozen=True, slots=True)
class Cure:
    """What one author's plan did about one cause."""

    cause: str
    tools: tuple[str, ...]
    author: str
    tried: int
    healed: int
    not_healed: int
    inconclusive: int
    undone: int
    median_seconds: float | None
    """From its begin to its verdict."""


@dataclass(frozen=True, slots=True)
class Place:
    """One resource, as the root of incidents."""

    resource: str
    incidents: int
    healed: int
    recovered: int
    with_a_person: int
    """Handed to a person, or ended by one."""
    fixes: int
    came_back: int
    unwell_seconds: float
    """Within the period, in incidents of which it is the root: while an alert of theirs was pending or firing."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Incidents are those of the period that are no part of another one. `success_ratio`: of those in which something
    was changed and that are judged, the share that a fix healed; None where there is none."""

    incidents: int
    ended: Mapping[str, int]
    acted: int
    healed: int
    success_ratio: float | None
    detect: Span
    """From the first look that showed a fault until its alert fired."""
    repair: Span
    """From an incident's opening until a fix was proven to have healed it."""
    did_not_help: int
    undone: int
    needless: int
    """Fixes that changed something and did not help, and whose incident ended by itself."""
    cures: tuple[Cure, ...]
    places: tuple[Place, ...]


def figures(
    incidents: Iterable[Incident],
    fixes: Sequence[Fix],
    alerts: Iterable[Alert],
    since: datetime,
    until: datetime,
) -> Figures:
    """Of a period; `incidents`, `fixes` and `alerts` are all that touch it."""
    alerts = list(alerts)
    own = [one for one in incidents if one.outcome != "merged"]
    by_key = {one.id: one for one in own}
    changing = [fix for fix in fixes if changed(fix)]
    mine: dict[str, list[Fix]] = {}
    for fix in changing:
        mine.setdefault(fix.incident or "", []).append(fix)
    judged = [one for one in own if one.id in mine and one.status in ("closed", "escalated") and one.outcome != "gone"]
    healed = [one for one in own if one.outcome == "healed" and one.closed_at is not None]
    ended: dict[str, int] = {}
    for one in own:
        said = one.outcome or ("escalated" if one.status == "escalated" else "open")
        ended[said] = ended.get(said, 0) + 1
    failed = [fix for fix in changing if fix.verdict and fix.verdict.outcome == "not_healed" and counts(fix)]
    right = sum(one.outcome == "healed" for one in judged)
    fired = [one for one in alerts if one.firing_at is not None and since <= one.firing_at <= until]
    return Figures(
        incidents=len(own),
        ended=ended,
        acted=len(judged),
        healed=right,
        success_ratio=round(right / len(judged), 4) if judged else None,
        detect=_span((a.firing_at - a.pending_at).total_seconds() for a in fired if a.firing_at),
        repair=_span(took for one in healed if (took := lasting(one)) is not None),
        did_not_help=len(failed),
        undone=sum(undone(fix) for fix in changing),
        needless=sum(by_key[f.incident].outcome == "recovered" for f in failed if f.incident in by_key),
        cures=_cures(fix for fix in changing if counts(fix) or fix.verdict is None),
        places=_places(own, mine, alerts, since, until),
    )


def lasting(incident: Incident) -> float | None:
    """Seconds from its opening to its end, but for those in which it was well and then came back; None where it is not
    over."""
    if incident.closed_at is None:
        return None
    return max(0.0, (incident.closed_at - incident.opened_at).total_seconds() - incident.well_seconds)


def changed(fix: Fix) -> bool:
    """Whether the fix changed anything, or may have."""
    effects = [step.effect for step in fix.plan.steps]
    return any(
        record.status in ("done", "failed", "unknown")
        and (record.index >= len(effects) or effects[record.index] is not Effect.READ)
        for record in fix.steps
    )


def undone(fix: Fix) -> bool:
    """Whether anything of it was taken back, and was not as before already."""
    done = [record for record in fix.undo if record.status == "done"]
    return any(record.before is None or record.before != record.after for record in done)


def _cures(fixes: Iterable[Fix]) -> tuple[Cure, ...]:
    """The most often tried first."""
    alike: dict[tuple[str, tuple[str, ...], str], list[Fix]] = {}
    for fix in fixes:
        cause = fix.plan.diagnosis.cause if fix.plan.diagnosis else "asked for by hand"
        tools = tuple(step.tool for step in fix.plan.steps)
        alike.setdefault((cause, tools, fix.plan.author), []).append(fix)
    found: list[Cure] = []
    for (cause, tools, author), members in alike.items():
        ends = [fix.verdict.outcome for fix in members if fix.verdict]
        took = [(fix.finished_at - fix.started_at).total_seconds() for fix in members if fix.finished_at]
        found.append(
            Cure(
                cause,
                tools,
                author,
                len(members),
                ends.count("healed"),
                ends.count("not_healed"),
                ends.count("inconclusive"),
                sum(undone(fix) for fix in members),
                round(statistics.median(took), 3) if took else None,
            )
        )
    return tuple(sorted(found, key=lambda cure: (-cure.tried, cure.cause, cure.author, cure.tools)))


def _places(
    incidents: Iterable[Incident],
    fixes: Mapping[str, Sequence[Fix]],
    alerts: Sequence[Alert],
    since: datetime,
    until: datetime,
) -> tuple[Place, ...]:
    """The longest unwell first."""
    there: dict[str, list[Incident]] = {}
    for one in incidents:
        there.setdefault(one.root, []).append(one)
    found = [
        Place(
            root,
            len(members),
            sum(one.outcome == "healed" for one in members),
            sum(one.outcome == "recovered" for one in members),
            sum(one.outcome == "by_human" or one.status == "escalated" for one in members),
            sum(len(fixes.get(one.id, ())) for one in members),
            sum(one.reopened for one in members),
            round(unwell(members, alerts, since, until), 3),
        )
        for root, members in there.items()
    ]
    return tuple(sorted(found, key=lambda place: (-place.unwell_seconds, place.resource)))


def unwell(incidents: Sequence[Incident], alerts: Iterable[Alert], since: datetime, until: datetime) -> float:
    """Seconds within the period in which an alert of these incidents was pending or firing; what overlaps counts once.

    An incident that came back was well in between. One of which no alert is known counts from its opening to its end.
    """
    mine = {one.id for one in incidents}
    known = [alert for alert in alerts if alert.incident in mine]
    told = {alert.incident for alert in known}
    spans = [(alert.pending_at, alert.resolved_at or until) for alert in known]
    spans += [(one.opened_at, one.closed_at or until) for one in incidents if one.id not in told]
    return together((max(begin, since), min(end, until)) for begin, end in spans)


def together(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds that lie in at least one of the spans."""
    total, reached = 0.0, None
    for begin, end in sorted(spans):
        begin = begin if reached is None else max(begin, reached)
        if end > begin:
            total += (end - begin).total_seconds()
            reached = end
    return total


def _span(seconds: Iterable[float]) -> Span:
    found = [max(0.0, one) for one in seconds]
    return Span(
        len(found),
        round(statistics.median(found), 3) if found else None,
        round(max(found), 3) if found else None,
    )
