"""The life of an alert: pending → firing → resolved, with `for` and hysteresis. Pure."""

from datetime import datetime

from watchkeeper.domain import Alert, Reading, Rule, Scope
from watchkeeper.store import new_id


def next_alert(rule: Rule, alert: Alert | None, reading: Reading, within: Scope, at: datetime) -> Alert | None:
    """What becomes of an alert after one more reading.

    `alert` is the one that is pending or firing on this resource, or None; so is the result, which may besides be the
    resolved one. Where the data to decide is missing nothing changes: no data neither fires nor resolves.
    """
    holds = rule.when.holds(within)
    if alert is None:
        if not holds:
            return None
        alert = Alert(
            id=new_id("alr"),
            rule=rule.id,
            resource=reading.resource,
            severity=rule.severity,
            health=rule.health,
            status="pending",
            pending_at=at,
            why=_why(rule, reading),
            confirm=rule.confirm,
            explains_host=rule.explains_host,
            explains_services=rule.explains_services,
            own_cause=rule.own_cause,
            value=reading.metrics.get(rule.metric) if rule.metric else None,
        )
        return alert.fire(at) if rule.for_seconds <= 0 else alert
    if alert.status == "pending":
        if holds is None:
            return alert
        if not holds:
            return None
        return (
            alert.fire(at, _why(rule, reading))
            if (at - alert.pending_at).total_seconds() >= rule.for_seconds
            else alert
        )
    if holds or holds is None:
        return alert
    cleared = rule.clear.holds(within) if rule.clear else True
    return alert.resolve(at) if cleared else alert


def _why(rule: Rule, reading: Reading) -> str:
    """Why it matters, with what it is about here."""
    detail = reading.facts.get(rule.detail, "") if rule.detail else ""
    return f"{rule.why} Here: {detail}" if detail else rule.why
