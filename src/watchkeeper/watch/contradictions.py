"""What speaks against a root: the order of alerts, what is well although it should suffer, edges never seen. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Evidence, Health, Resource
from watchkeeper.domain.dependency import Dependency
from watchkeeper.domain.spared import MODEL
from watchkeeper.domain.spoken import spoken
from watchkeeper.watch.correlation import Ties, place, ties

NAMED = 3
"""Of many that are well so many are named."""


def against(
    root: str,
    alerts: Sequence[Alert],
    resources: Mapping[str, Resource],
    edges: Iterable[Dependency],
    health: Callable[[str], Health],
    at: datetime,
    apart: timedelta,
) -> tuple[Evidence, ...]:
    """What does not fit with the root having caused these alerts. `apart`: the time between two looks; an alert that
    much earlier says nothing of what came first. `health`: as it is `at` that time."""
    if root not in resources or resources[root].kind == MODEL:  # what has drifted makes nobody ill who asks it
        return ()
    first: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda one: one.pending_at):
        first.setdefault(alert.resource, alert)
    here, known = place(root, resources), ties(resources)
    seen = [edge.edge for edge in edges if edge.how != "declared"]
    found: list[Evidence] = []
    for key, alert in first.items():
        if key not in here and key in resources:
            found += _victim(key, alert, root, first, known, seen, health, apart)
    return (*found, *_beside(root, first, here, known, health, at))


def _victim(
    key: str,
    alert: Alert,
    root: str,
    first: Mapping[str, Alert],
    known: Ties,
    seen: Sequence[tuple[str, str]],
    health: Callable[[str], Health],
    apart: timedelta,
) -> Iterator[Evidence]:
    name, cause = known.of[key].slug, known.of[root].slug
    if root not in known.needs(key):
        text = f"{name} alerts too ({alert.rule}) and is not known to need {cause}: it may have a cause of its own"
        yield Evidence(key, alert.pending_at, text)
        return
    if root in first and (early := first[root].pending_at - alert.pending_at) > apart:
        text = f"{name} showed it {spoken(early.total_seconds())} before {cause}: it may be the cause"
        yield Evidence(key, alert.pending_at, f"{text}, or be looked at by a quicker rule")
    between = (known.needs(key) & known.needing(root)) - {key, root}
    well = {one for one in between if one not in first and health(one) is Health.HEALTHY and not known.carried.get(one)}
    if well and root not in _through(key, known.up, well):
        names = _names(well, known)
        text = f"{name} needs {cause} only through {names}, which {'is' if len(well) == 1 else 'are'} healthy"
        yield Evidence(min(well), alert.pending_at, text)
    proven: dict[str, list[str]] = {}
    for source, target in seen:
        proven.setdefault(source, []).append(target)
    if root not in _through(key, proven, ()):
        text = f"that {name} needs {cause} is said (by hand, or by its connector), and no connection has shown it"
        yield Evidence(key, alert.pending_at, text)


def _beside(
    root: str,
    first: Mapping[str, Alert],
    here: frozenset[str],
    known: Ties,
    health: Callable[[str], Health],
    at: datetime,
) -> Iterator[Evidence]:
    cause = known.of[root].slug
    needing = {key for one in here for key in known.down.get(one, ())} - here - first.keys()
    needing = {key for key in needing if key not in known.of or not place(key, known.of) & first.keys()}
    needing = {key for key in needing if not known.carried.get(key)}  # that it runs says nothing of what runs in it
    well = {key for key in needing if health(key) is Health.HEALTHY}
    if well:
        needs, was = ("needs", "was") if len(well) == 1 else ("need", "were")
        yield Evidence(root, at, f"{_names(well, known)} {needs} {cause} too, and {was} healthy then")
    blind = {key for key in known.needs(root) - here if key in known.of and health(key) is Health.UNKNOWN}
    if blind:
        gives = "gives" if len(blind) == 1 else "give"
        yield Evidence(root, at, f"{_names(blind, known)}, which {cause} needs, {gives} no data: it may begin there")


def _through(start: str, edges: Mapping[str, Sequence[str]], without: Iterable[str]) -> set[str]:
    """What can be reached from there, past none of these."""
    seen, todo = {start, *without}, [start]
    while todo:
        fresh = [key for key in edges.get(todo.pop(), ()) if key not in seen]
        seen.update(fresh)
        todo += fresh
    return seen - set(without)


def _names(keys: Iterable[str], known: Ties) -> str:
    names = sorted(known.of[key].slug for key in keys)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
