"""Before old readings are forgotten: what the reports on their incidents need of them is kept."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from watchkeeper.domain import Alert, Condition, Fix, Incident, Rule
from watchkeeper.domain.trace import Trace, trace_id
from watchkeeper.store import Store, schema
from watchkeeper.store.curve import curve

_AROUND = timedelta(minutes=30)
"""The most that a chart shows before and after."""
_LONG = timedelta(days=30)
"""A closed incident that began that long before the oldest reading has none left."""


async def keep_traces(store: Store, rules: Iterable[Rule], before: datetime) -> int:
    """Keep what will be forgotten with the readings older than `before`, for each incident. Returns of how many."""
    oldest = (await store.rows(sa.select(sa.func.min(schema.readings.c.at).label("at"))))[0]["at"]
    if oldest is None or oldest >= before:
        return 0
    known = {rule.id: rule for rule in rules}
    touched = [
        one
        for one in await store.select(Incident, limit=100_000, before=before + _AROUND)
        if one.opened_at > oldest - _LONG and (one.closed_at or before) + _AROUND >= oldest
    ]
    for incident in touched:
        await _keep(store, incident, known, before)
    return len(touched)


async def _keep(store: Store, incident: Incident, rules: Mapping[str, Rule], before: datetime) -> None:
    alerts = await store.select(Alert, incident=incident.id)
    fixes = await store.select(Fix, incident=incident.id)
    moments = [a.pending_at for a in alerts] + [f.started_at for f in fixes]
    begin = min([incident.opened_at, *moments]) - _AROUND
    end = min((incident.closed_at or before) + _AROUND, before)
    for resource, names in _looked_at(alerts, fixes, rules).items():
        trace = await store.find(Trace, trace_id(incident.id, resource))
        trace = trace or Trace(trace_id(incident.id, resource), incident.id, incident.opened_at, begin)
        if trace.until < end:
            found, of = await curve(store, resource, trace.until, end, moments)
            await store.save(trace.with_older(found, of, names, end))


def _looked_at(alerts: Iterable[Alert], fixes: Iterable[Fix], rules: Mapping[str, Rule]) -> dict[str, set[str]]:
    """By resource the metrics that rules and proofs looked at."""
    found: dict[str, set[str]] = {}
    for alert in alerts:
        if (rule := rules.get(alert.rule)) is not None:
            found.setdefault(alert.resource, set()).update({rule.metric} | (rule.when.names or set()))
    for fix in fixes:
        if fix.plan.healed:
            root = fix.plan.diagnosis.root if fix.plan.diagnosis else fix.plan.resources[0]
            found.setdefault(root, set()).update(Condition(fix.plan.healed).names or ())
    return found
