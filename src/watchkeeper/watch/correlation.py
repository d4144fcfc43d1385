"""Which alerts belong together, and which of them explains the rest. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Health, Incident, Resource

WINDOW = timedelta(minutes=10)
"""An alert this much later than the incident's opening still joins, where a dependency path leads there."""
RELAPSE = timedelta(minutes=10)
"""The same fault this soon after closing is a relapse: the incident is reopened and skips what failed."""


def reach(resource: str, resources: Mapping[str, Resource]) -> frozenset[str]:
    """The resource, all it needs, directly or not, and all that needs it."""
    up = _closure(resource, {key: value.upstream for key, value in resources.items()})
    down: dict[str, tuple[str, ...]] = {}
    for key, value in resources.items():
        for needed in value.upstream:
            down[needed] = (*down.get(needed, ()), key)
    return frozenset(up | _closure(resource, down))


def upstream(resource: str, resources: Mapping[str, Resource]) -> tuple[str, ...]:
    """All it needs, directly or not."""
    edges = {key: value.upstream for key, value in resources.items()}
    return tuple(sorted(_closure(resource, edges) - {resource}))


def suffering(root: str, resources: Mapping[str, Resource]) -> frozenset[str]:
    """What needs it, directly or not, and is elsewhere: not what runs on it or on the same."""
    if root not in resources:
        return frozenset()
    carrier = resources[root].runs_on or root
    place = {key for key, value in resources.items() if carrier in (key, value.runs_on)} | {root}
    down: dict[str, tuple[str, ...]] = {}
    for key, value in resources.items():
        for needed in value.upstream:
            down[needed] = (*down.get(needed, ()), key)
    return frozenset({key for at in place for key in _closure(at, down)} - place)


def neighbours(of: Sequence[str], resources: Mapping[str, Resource]) -> tuple[str, ...]:
    """One step up and one step down, without themselves."""
    near: dict[str, None] = {}
    for key, value in resources.items():
        if key in of:
            near.update(dict.fromkeys(value.upstream))
        elif any(needed in of for needed in value.upstream):
            near[key] = None
    return tuple(key for key in near if key not in of and key in resources)


def incident_for(
    alert: Alert,
    active: Iterable[Incident],
    resources: Mapping[str, Resource],
    at: datetime,
    roots: Mapping[str, str] | None = None,
) -> Incident | None:
    """The incident an alert joins, which is active (a fix under way included): one whose root it needs, or whose root
    needs it. That both are needed by the same third, which suffers, joins nothing: each has a cause of its own.

    `roots`: by incident, the root of what fires now; without it the incident's own.
    """
    needed = {alert.resource, *upstream(alert.resource, resources)}
    for incident in sorted(active, key=lambda known: known.opened_at):
        root = (roots or {}).get(incident.id)
        if alert.resource in incident.resources or root in needed:
            return incident  # what it needs is ill now, for however long
        root = root or incident.root
        explains = alert.resource in upstream(root, resources)
        if (explains or root in needed) and at - incident.opened_at <= WINDOW:
            return incident
    return None


def relapse_of(alert: Alert, closed: Iterable[Incident], alerts: Iterable[Alert], at: datetime) -> Incident | None:
    """The closed incident that this alert shows not to be over: the same rule on the same resource, soon after."""
    recent = {i.id: i for i in closed if i.closed_at and at - i.closed_at <= RELAPSE and i.outcome == "healed"}
    same = [
        recent[known.incident]
        for known in alerts
        if known.incident in recent and known.rule == alert.rule and known.resource == alert.resource
    ]
    return max(same, key=lambda incident: incident.closed_at or at, default=None)


def root_of(alerts: Sequence[Alert], resources: Mapping[str, Resource]) -> str:
    """The most upstream resource with an alert that explains the rest; of several the one that explains the most.

    What a service runs on explains it only when it has *failed* (stopped, paused): a container merely short of
    memory is more often the victim of its service, and the service's own tools go first; so is one that ended because
    of what the service itself tells (`explains_host`: a full disk). In a circle each explains
    the other, and none is more upstream.
    """
    worst: dict[str, Alert] = {}
    for alert in alerts:
        known = worst.get(alert.resource)
        if known is None or (-alert.health.rank, alert.pending_at) < (-known.health.rank, known.pending_at):
            worst[alert.resource] = alert
    carriers = {value.runs_on for value in resources.values() if value.runs_on and value.id in worst}
    told = {resources[a.resource].runs_on for a in alerts if a.explains_host and a.resource in resources}
    candidates = {
        key: alert
        for key, alert in worst.items()
        if key not in carriers or (alert.health is Health.FAILED and key not in told)
    } or worst

    edges = {name: value.upstream for name, value in resources.items()}
    needs = {key: _closure(key, edges) for key in candidates}
    roots = [key for key in candidates if all(key in needs[up] for up in needs[key] & candidates.keys())]
    explained = {key: sum(key in needed for needed in needs.values()) for key in roots}
    return min(roots, key=lambda key: (-explained[key], -candidates[key].health.rank, candidates[key].pending_at, key))


def _closure(start: str, edges: Mapping[str, Sequence[str]]) -> set[str]:
    seen = {start}
    todo = [start]
    while todo:
        for following in edges.get(todo.pop(), ()):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return seen
