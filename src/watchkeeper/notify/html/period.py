"""The page on a period, for whoever answers for the systems."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.domain import Fix, Incident
from watchkeeper.domain.spoken import spoken
from watchkeeper.notify.figures import Span, changed, unwell
from watchkeeper.notify.html.columns import ENDINGS, Columns, buckets, stacked, times
from watchkeeper.notify.html.page import render, stamp
from watchkeeper.notify.html.story import KINDS
from watchkeeper.notify.morning import Morning

MANY = 100
"""Rows of a table; how many more there are is said."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many incidents ended in one way."""

    kind: str
    number: int
    text: str


def period_html(morning: Morning) -> str:
    """One file: what happened, what it cost, what was done by whom, what needs attention, what could not be seen."""
    counted = morning.figures
    own = [one for one in morning.incidents if one.outcome != "merged"]
    fixes = _by_incident(morning.fixes)
    kinds = {one.id: ending(one, fixes.get(one.id, ())) for one in own}
    found = buckets(morning.since, morning.until, own, kinds, morning.alerts)
    shares = [Share(kind, sum(k == kind for k in kinds.values()), text) for kind, text in ENDINGS.items()]
    page: dict[str, Any] = {
        "headline": _headline(morning, shares),
        "tiles": _tiles(morning, own),
        "shares": [share for share in shares if share.number],
        "buckets": found,
        "stacked": _both(stacked, found),
        "repair": _both(times, found, "repair") if counted.repair.number else None,
        "detect": _both(times, found, "detect") if counted.detect.number else None,
        "places": _places(morning),
        "needs": _needs(morning),
        "incidents": [_incident(morning, one, kinds[one.id]) for one in reversed(own)][:MANY],
        "more": max(0, len(own) - MANY),
        "proposals": len(morning.proposals),
        "score": morning.score,
        "saved": spoken(morning.score.saved_seconds),
        "changes": morning.changes[-MANY:],
        "more_changes": max(0, len(morning.changes) - MANY),
        "cures": [
            (cure, spoken(cure.median_seconds) if cure.median_seconds is not None else "—")
            for cure in counted.cures[:MANY]
        ],
        "more_cures": max(0, len(counted.cures) - MANY),
    }
    return render("period.html.j2", page=page, morning=morning, figures=counted, at=morning.until, endings=ENDINGS)


def _both(drawn: Any, *given: Any) -> list[Columns]:
    return [drawn(*given, size) for size in ("wide", "narrow")]


def _by_incident(fixes: Iterable[Fix]) -> dict[str, list[Fix]]:
    found: dict[str, list[Fix]] = {}
    for fix in fixes:
        if fix.incident and changed(fix):
            found.setdefault(fix.incident, []).append(fix)
    return found


def ending(incident: Incident, fixes: Sequence[Fix]) -> str:
    """How it ended, for a manager: `healed` with nobody's help, `approved` with a person's word, `recovered` by itself,
    `person`, or `open`."""
    if incident.outcome == "healed":
        alone = all(not fix.approved_by and fix.principal.kind == "loop" for fix in fixes)
        return "healed" if alone else "approved"
    if incident.outcome in ("recovered", "gone"):
        return "recovered"
    return "person" if incident.outcome == "by_human" or incident.status == "escalated" else "open"


def _headline(morning: Morning, shares: Sequence[Share]) -> str:
    number = sum(share.number for share in shares)
    if not number:
        return "Nothing was unwell."
    alone = next(share.number for share in shares if share.kind == "healed")
    what = f"{number} incident{'s' if number != 1 else ''}"
    said = f"{alone} healed without a person" if alone else "none healed without a person"
    left = sum(share.number for share in shares if share.kind in ("person", "open") and share.number)
    over = f", {left} with a person or not over" if left else ""
    return f"{what}: {said}{over}."


def _tiles(morning: Morning, own: Sequence[Incident]) -> list[tuple[str, str, str]]:
    counted = morning.figures
    found = [("Incidents", str(counted.incidents), "each counted once")]
    if own:
        found.append(
            (
                "Something unwell for",
                spoken(unwell(own, morning.alerts, morning.since, morning.until)),
                "overlaps counted once",
            )
        )
    if counted.success_ratio is not None:
        found.append(
            ("Success rate", f"{counted.success_ratio:.0%}", f"{counted.healed} of {counted.acted} it acted on")
        )
    for name, span in (("To detect", counted.detect), ("To repair", counted.repair)):
        if span.median is not None:
            found.append((name, spoken(span.median), _worst(span)))
    found.append(("Taken back", str(counted.undone), f"{counted.did_not_help} did not help"))
    return found


def _worst(span: Span) -> str:
    return f"median of {span.number}; worst {spoken(span.worst)}" if span.worst is not None else ""


def _places(morning: Morning) -> list[dict[str, Any]]:
    places = morning.figures.places
    most = max((place.unwell_seconds for place in places), default=0.0) or 1.0
    return [
        {
            "name": morning.name(place.resource),
            "kind": KINDS.get(place.resource.split("/")[2], place.resource.split("/")[2])
            if place.resource.count("/") > 2
            else "",
            "place": place,
            "unwell": spoken(place.unwell_seconds),
            "share": round(100 * place.unwell_seconds / most),
        }
        for place in places[:MANY]
    ]


def _needs(morning: Morning) -> list[str]:
    waiting = [
        f"{a.id}: a plan on {', '.join(morning.name(key) for key in a.plan.resources)} waits for approval "
        f"(watchkeeper approve {a.id})"
        for a in morning.waiting
    ]
    handed = [
        f"{i.id}: {i.title}. {'It is not watched now.' if i.root in morning.unwatched else i.reason}"
        for i in morning.incidents
        if i.status == "escalated"
    ]
    back = [
        f"{morning.name(p.resource)} came back {p.came_back}×: what heals it does not last"
        for p in morning.figures.places
        if p.came_back
    ]
    return waiting + handed + back


def _incident(morning: Morning, incident: Incident, kind: str) -> dict[str, Any]:
    took = (incident.closed_at - incident.opened_at).total_seconds() if incident.closed_at else None
    return {
        "id": incident.id,
        "when": stamp(incident.opened_at),
        "what": incident.diagnosis.cause if incident.diagnosis else incident.title,
        "title": incident.title,
        "where": morning.name(incident.root),
        "took": spoken(took) if took is not None else "not over",
        "kind": kind,
        "ended": ENDINGS[kind],
    }
