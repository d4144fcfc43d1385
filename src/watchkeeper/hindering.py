"""What failed because something else was wrong as well is no proof that it does not help: it is tried once more when
that is over, and nothing harsher is asked for before."""

from collections.abc import Sequence
from dataclasses import replace

from watchkeeper.domain import Alert, Fix, Incident, Verdict, now
from watchkeeper.domain.situation import Situation
from watchkeeper.domain.verdict import NO_CREDIT
from watchkeeper.incidents import Desk
from watchkeeper.store import Store

ALERTS = 100
"""Of one resource, looked through at most: the latest."""


async def hindering(store: Store, fix: Fix) -> list[Alert]:
    """Alerts of other, grave faults on what the fix was for, which fired while a step of it failed."""
    failed = next((record for record in fix.steps if record.status == "failed"), None)
    if failed is None or not fix.plan.aims:
        return []
    until, since = failed.finished_at or now(), failed.started_at or fix.started_at
    return [
        alert
        for alert in await store.select(Alert, resource=failed.resource, limit=ALERTS)
        if alert.rule not in fix.plan.aims
        and alert.severity == "critical"
        and alert.pending_at <= until
        and (alert.resolved_at or now()) >= since
    ]


def credited(verdict: Verdict, fix: Fix) -> Verdict:
    """The verdict on a plan; where all that was begun of it failed, what became well is not put down to it."""
    if verdict.outcome != "healed" or not fix.broke_off or any(one.status in ("done", "unknown") for one in fix.steps):
        return verdict
    return replace(verdict, outcome="inconclusive", reasons=(NO_CREDIT, *verdict.reasons))


def hindered(verdict: Verdict, others: Sequence[Alert]) -> Verdict:
    """The verdict on a plan of which a step failed: it says itself that something else may be why. What is well
    again is not tried once more."""
    if not others or verdict.recovered:
        return verdict
    said = f"{', '.join(dict.fromkeys(alert.rule for alert in others))} fired too when that failed"
    return replace(verdict, reasons=(said, *verdict.reasons), hindered=tuple(alert.id for alert in others))


async def hinder(desk: Desk, store: Store, incident: Incident, fix: Fix) -> Incident:
    """After a fix of which a step failed: note what hindered it."""
    keys = fix.verdict.hindered if fix.verdict else ()
    if not keys or fix.plan.key in incident.hindered:
        return incident
    names = ", ".join(dict.fromkeys([(await store.get(Alert, key)).rule for key in keys]))
    text = f"{fix.plan.author} failed while {names} fired too: it is tried once more when that is over"
    return await desk.change(incident.id, lambda i: i.hinders(fix, keys), "plan.hindered", text)


async def release(desk: Desk, incident: Incident, at: Situation) -> Incident:
    """What hindered a plan fires no more: it may be tried again, and is not left to people because of that."""
    firing = {alert.id for alert in desk.firing(incident, at)}
    free = incident.released(firing)
    if free is incident:
        return incident
    over = [key for key, by in incident.hindered.items() if by and not free.hindered[key]]
    text = f"{', '.join(key.partition('@')[0] for key in over)} may be tried again: what hindered it is over"
    return await desk.change(incident.id, lambda i: i.released(firing), "plan.released", text)
