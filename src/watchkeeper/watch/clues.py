"""What a diagnosis rests on besides the alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Diagnosis, Evidence, Resource
from watchkeeper.watch.contradictions import against
from watchkeeper.watch.correlation import roots_of, ties
from watchkeeper.watch.listening import Listening
from watchkeeper.watch.watch import Watch

LEFT = " leaves it to a person: "
"""In what was passed over: a runbook without a ladder, and the cause it knows."""
EARLIER = timedelta(minutes=1)
"""What a log says so long before the first sign may belong to it."""


def grounded(diagnosis: Diagnosis, alerts: Sequence[Alert], watch: Watch, at: datetime) -> Diagnosis:
    """The diagnosis with what the logs say (of its root, of what alerts, and of what the root needs at once), and with
    what speaks against it."""
    resources = watch.fleet.resources
    evidence = logged(diagnosis.root, alerts, resources, watch.listening, at)
    edges, apart = watch.fleet.graph.edges(), timedelta(seconds=watch.interval)
    found = against(diagnosis.root, alerts, resources, edges, watch.health, at, apart)
    calls = [a for a in alerts if a.status == "firing" and (a.severity == "critical" or watch.has_runbook(a.rule))]
    others = tuple(key for key in roots_of(calls, resources) if key != diagnosis.root)
    return replace(diagnosis, evidence=(*diagnosis.evidence, *evidence), against=found, others=others)


def unexplained(root: str, alerts: Sequence[Alert], passed: Sequence[str]) -> Diagnosis:
    """Where nothing knows what to do: what there is to go on."""
    told = sorted(alerts, key=lambda alert: alert.pending_at)
    evidence = tuple(Evidence(a.resource, a.firing_at or a.pending_at, f"{a.rule}: {a.why}") for a in told)
    reasoning = f"{', '.join(dict.fromkeys(a.rule for a in told if a.resource == root))} on {root}"
    cause = next((said.partition(LEFT)[2] for said in passed if LEFT in said), "No runbook knows the cause.")
    return Diagnosis(root, cause, reasoning, evidence, tuple(passed), None, "watchkeeper")


def logged(
    root: str, alerts: Sequence[Alert], resources: Mapping[str, Resource], heard: Listening, at: datetime
) -> tuple[Evidence, ...]:
    needed = resources[root].upstream if root in resources else ()
    around = tuple(dict.fromkeys((root, *(alert.resource for alert in alerts), *needed)))
    places = dict.fromkeys(around)  # a container's log is followed as its service's, and the other way round
    for key in around:
        places |= dict.fromkeys(ties(resources).carried.get(key, ()))
        if key in resources and (carrier := resources[key].runs_on):
            places[carrier] = None
    first = min((alert.pending_at for alert in alerts), default=at)
    return heard.evidence(places, first - EARLIER, at)
