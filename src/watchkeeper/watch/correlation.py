"""Which alerts belong together, and which of them explains the rest. Pure."""

from collections.abc import Container, Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Incident, Resource

WINDOW = timedelta(minutes=10)
"""An alert this much later than the incident's opening still joins, where a dependency path leads there."""
LATER = timedelta(seconds=30)
"""What stopped so long after an incident was opened is not its cause: it is seen within seconds."""
RELAPSE = timedelta(minutes=10)
"""The same fault this soon after closing is a relapse: the incident is reopened and skips what failed."""


class Ties:
    """Who needs whom and what runs on what, in both directions: made once for each set of resources, which is replaced
    and never changed."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self.of = resources
        self.up = {key: value.upstream for key, value in resources.items()}
        self.down: dict[str, list[str]] = {}
        self.carried: dict[str, list[str]] = {}
        for key, value in resources.items():
            for needed in value.upstream:
                self.down.setdefault(needed, []).append(key)
            if value.runs_on:
                self.carried.setdefault(value.runs_on, []).append(key)

    def needs(self, resource: str) -> set[str]:
        """The resource, and all it needs, directly or not."""
        return _closure(resource, self.up)

    def needing(self, resource: str) -> set[str]:
        """The resource, and all that needs it, directly or not."""
        return _closure(resource, self.down)


_last = Ties({})


def ties(resources: Mapping[str, Resource]) -> Ties:
    """Asked for many times between two discoveries, made once."""
    global _last
    if _last.of is not resources:
        _last = Ties(resources)
    return _last


def reach(resource: str, resources: Mapping[str, Resource]) -> frozenset[str]:
    """The resource, all it needs, directly or not, and all that needs it."""
    known = ties(resources)
    return frozenset(known.needs(resource) | known.needing(resource))


def upstream(resource: str, resources: Mapping[str, Resource]) -> tuple[str, ...]:
    """All it needs, directly or not."""
    return tuple(sorted(ties(resources).needs(resource) - {resource}))


def place(resource: str, resources: Mapping[str, Resource]) -> frozenset[str]:
    """The resource, what it runs on, and all that runs on the same."""
    carrier = resources[resource].runs_on or resource
    there = {carrier} if carrier in resources else set[str]()
    return frozenset({resource, *there, *ties(resources).carried.get(carrier, ())})


def carried_by(carrier: str, resources: Mapping[str, Resource]) -> tuple[str, ...]:
    """What runs on it."""
    return tuple(ties(resources).carried.get(carrier, ()))


def suffering(root: str, resources: Mapping[str, Resource]) -> frozenset[str]:
    """What needs it, directly or not, and is elsewhere: not what runs on it or on the same."""
    if root not in resources:
        return frozenset()
    here, known = place(root, resources), ties(resources)
    return frozenset({key for at in here for key in known.needing(at)} - here)


def served(root: str, resources: Mapping[str, Resource]) -> frozenset[str]:
    """What needs it at first hand, and is elsewhere."""
    if root not in resources:
        return frozenset()
    here, known = place(root, resources), ties(resources)
    return frozenset({key for at in here for key in known.down.get(at, ()) if key in resources} - here)


def neighbours(of: Sequence[str], resources: Mapping[str, Resource]) -> tuple[str, ...]:
    """One step up and one step down, without themselves."""
    known = ties(resources)
    near = dict.fromkeys(key for one in of for key in (*known.up.get(one, ()), *known.down.get(one, ())))
    return tuple(key for key in near if key not in of and key in resources)


def standing(
    alerts: Mapping[str, Sequence[Alert]], resources: Mapping[str, Resource]
) -> tuple[dict[str, str], frozenset[str]]:
    """By incident, of all its alerts, the root of what fires now; and those that are about something whose cause can
    only lie in the thing itself: also once that is mended, for what came of it may last."""
    firing = {key: [alert for alert in told if alert.status == "firing"] for key, told in alerts.items()}
    roots = {key: root_of(told, resources) for key, told in firing.items() if told}
    return roots, frozenset(key for key, told in alerts.items() if has_own_cause(told))


def has_own_cause(alerts: Sequence[Alert]) -> bool:
    """Whether the first of them, or one that fires, has its cause in the thing itself."""
    first = min(alerts, key=lambda alert: alert.pending_at, default=None)
    return any(
        alert.own_cause and (alert.status == "firing" or alert.resource == first.resource) for alert in alerts if first
    )


def incident_for(
    alert: Alert,
    active: Iterable[Incident],
    resources: Mapping[str, Resource],
    at: datetime,
    roots: Mapping[str, str] | None = None,
    apart: Container[str] = (),
) -> Incident | None:
    """The incident an alert joins, which is active (a fix under way included): one whose root it needs, or whose root
    needs it. That both are needed by the same third, which suffers, joins nothing: each has a cause of its own.

    What has its cause in the thing itself is explained by nothing elsewhere.

    `roots`: by incident, the root of what fires now; without it the incident's own. `apart`: those with such an alert.
    """
    known = ties(resources)
    needed = _explaining(alert.resource, resources) if alert.own_cause else known.needs(alert.resource)
    active = sorted(active, key=lambda one: one.opened_at)
    for incident in active:
        if alert.resource in (incident.root, (roots or {}).get(incident.id)):
            return incident  # more of the same, whoever else suffers from it
    for incident in active:
        root = (roots or {}).get(incident.id)
        if root in needed or (alert.resource in incident.resources and not alert.own_cause):
            return incident  # what it needs is ill now, for however long
        root = root or incident.root
        above = _explaining(root, resources) if incident.id in apart else known.needs(root)
        explains = alert.resource != root and alert.resource in above and not _later(alert, root, incident, resources)
        if (explains or root in needed) and at - incident.opened_at <= WINDOW:
            return incident
    return None


def cause_of(
    incident: Incident,
    active: Iterable[Incident],
    firing: Mapping[str, Sequence[Alert]],
    resources: Mapping[str, Resource],
    apart: Container[str] = (),
) -> Incident | None:
    """The other active incident that this one turns out to be part of: its root, which began to alert at most WINDOW
    before or after this one was opened, explains what fires here. Of two that explain each other the older stays. What
    it runs on explains it only when that has failed.

    `firing`: by incident, the alerts that fire now. `apart`: those whose cause lies in the thing itself (`standing`).
    """
    mine = firing.get(incident.id)
    if not mine:
        return None
    root, known = root_of(mine, resources), ties(resources)
    needed = known.needs(root) - {root}
    if incident.id in apart or any(alert.own_cause for alert in mine):
        needed &= _explaining(root, resources)
    for other in sorted(active, key=lambda one: (one.opened_at, one.id)):
        theirs = firing.get(other.id)
        if other.id == incident.id or not theirs or (above := root_of(theirs, resources)) not in needed:
            continue
        older = (incident.opened_at, incident.id) < (other.opened_at, other.id)
        began = min(alert.firing_at or alert.pending_at for alert in theirs if alert.resource == above)
        carried = [a for a in mine if a.resource in resources and resources[a.resource].runs_on == above]
        failed = any(alert.resource == above and alert.covers_services for alert in theirs)
        if (
            abs(began - incident.opened_at) <= WINDOW
            and not any(alert.resource == above and _later(alert, root, incident, resources) for alert in theirs)
            and not (older and root in known.needs(above))
            and not (carried and (not failed or any(alert.explains_host for alert in carried)))
        ):
            return other
    return None


def _later(alert: Alert, root: str, incident: Incident, resources: Mapping[str, Resource]) -> bool:
    """Whether something elsewhere stopped only after the incident had begun: when a thing stops is known to the moment,
    and what went wrong before did not come of it."""
    here = place(root, resources) if root in resources else {root}
    return alert.covers_services and alert.resource not in here and alert.pending_at > incident.opened_at + LATER


def relapse_of(alert: Alert, closed: Iterable[Incident], alerts: Iterable[Alert], at: datetime) -> Incident | None:
    """The closed incident that this alert shows not to be over: the same rule on its root, soon after. What only
    suffered then may suffer from something else now."""
    recent = {i.id: i for i in closed if i.closed_at and at - i.closed_at <= RELAPSE and i.outcome == "healed"}
    same = [
        recent[known.incident]
        for known in alerts
        if known.incident in recent
        and known.rule == alert.rule
        and known.resource == alert.resource
        and alert.resource == recent[known.incident].root
    ]
    return max(same, key=lambda incident: incident.closed_at or at, default=None)


def root_of(alerts: Sequence[Alert], resources: Mapping[str, Resource]) -> str:
    """The most upstream resource with an alert that explains the rest; of several the one that explains the most.

    What a service runs on explains it only when it has *failed* (stopped, paused), or where its alert says so
    (`explains_services`: its network). A container merely short of memory is more often the victim of its service, and
    the service's own tools go first; so is one that ended because of what the service itself tells (`explains_host`: a
    full disk). In a circle each explains the other, and none is more upstream.
    """
    candidates = _candidates(alerts, resources)
    needs = {key: ties(resources).needs(key) for key in candidates}
    explained = {key: sum(key in needed for needed in needs.values()) for key in candidates}
    return min(
        _unexplained(needs),
        key=lambda key: (-explained[key], -candidates[key].health.rank, candidates[key].pending_at, key),
    )


def roots_of(alerts: Sequence[Alert], resources: Mapping[str, Resource]) -> tuple[str, ...]:
    """All resources with an alert that nothing else explains, the root first: one for each fault. Of a circle in which
    each explains the other, one; what a root runs on, or what runs on it, is no other fault."""
    left, found = list(alerts), list[str]()
    while left:
        root = root_of(left, resources)
        found.append(root)
        told = ties(resources).needing(root) | place(root, resources) if root in resources else {root}
        told |= {key for near in told & resources.keys() for key in ties(resources).needing(near)}
        left = [alert for alert in left if alert.resource not in told]
    return tuple(found)


def _candidates(alerts: Sequence[Alert], resources: Mapping[str, Resource]) -> dict[str, Alert]:
    """By resource that may be a root, its worst alert."""
    worst: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda one: (not one.covers_services, -one.health.rank, one.pending_at)):
        worst.setdefault(alert.resource, alert)
    carriers = {resources[key].runs_on for key in worst if key in resources}
    told = {resources[a.resource].runs_on for a in alerts if a.explains_host and a.resource in resources}
    return {
        key: alert for key, alert in worst.items() if key not in carriers or (alert.covers_services and key not in told)
    } or worst


def _unexplained(needs: Mapping[str, Set[str]]) -> list[str]:
    """Those that need none of the others, unless that one needs them too."""
    return [key for key in needs if all(key in needs[up] for up in needs[key] & needs.keys())]


def _explaining(resource: str, resources: Mapping[str, Resource]) -> Set[str]:
    """What may explain what has its cause in the thing itself: it, and what it runs on."""
    return place(resource, resources) & ties(resources).needs(resource) if resource in resources else {resource}


def _closure(start: str, edges: Mapping[str, Sequence[str]]) -> set[str]:
    seen = {start}
    todo = [start]
    while todo:
        for following in edges.get(todo.pop(), ()):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return seen
