"""What a diagnosis rests on besides the alerts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchkeeper.domain import Alert, Diagnosis, Evidence, Fix, Reading, Resource, WatchkeeperError
from watchkeeper.watch.contradictions import against
from watchkeeper.watch.correlation import roots_of, ties
from watchkeeper.watch.listening import Listening, doings, quoted
from watchkeeper.watch.watch import Watch

LEFT = " leaves it to a person: "
"""In what was passed over: a runbook without a ladder, and the cause it knows."""
LAST = 5
"""Lines at the end of a log that are told of what ended."""
TAIL_SECONDS = 3.0
EARLIER = timedelta(minutes=1)
"""What a log says so long before the first sign may belong to it."""


async def grounded(
    diagnosis: Diagnosis,
    alerts: Sequence[Alert],
    watch: Watch,
    at: datetime,
    masked: Callable[[str], str],
    fixes: Sequence[Fix] = (),
) -> Diagnosis:
    """The diagnosis with what the logs say (of its root, of what alerts, of what the root needs at once, and the errors
    of all that is behind it), and with what speaks against it. `fixes`: the latest, for what came of them is evidence
    of nothing."""
    resources = watch.fleet.resources
    evidence = logged(diagnosis.root, alerts, resources, watch.listening, at, fixes)
    edges, apart = watch.fleet.graph.edges(), timedelta(seconds=watch.interval)
    found = against(diagnosis.root, alerts, resources, edges, watch.health, at, apart)
    calls = [
        a for a in alerts if a.status == "firing" and (a.severity == "critical" or watch.rulebook.has_runbook(a.rule))
    ]
    needing = ties(resources).needing(diagnosis.root)
    others = tuple(key for key in roots_of(calls, resources) if key not in needing)
    last = await last_words(diagnosis.root, watch, masked)
    return replace(diagnosis, evidence=(*diagnosis.evidence, *evidence, *last), against=found, others=others)


async def last_words(root: str, watch: Watch, masked: Callable[[str], str]) -> tuple[Evidence, ...]:
    """The last lines in the log of a container that ended, or that ends again and again: it may have ended before
    anybody followed its log, and what it said then is no news to whoever has followed it for long."""
    resource = watch.fleet.resources.get(root)
    keys = (root, resource.runs_on) if resource is not None and resource.runs_on else (root,)
    watcher = next((w for key in keys if (w := watch.watchers.get(key)) is not None and _ended(w.last)), None)
    tail = getattr(watcher.host, "tail", None) if watcher is not None else None
    if watcher is None or tail is None:
        return ()
    try:
        async with asyncio.timeout(TAIL_SECONDS):
            lines: list[tuple[datetime, str]] = await tail(LAST)
    except (WatchkeeperError, TimeoutError, OSError):
        return ()
    return tuple(
        Evidence(watcher.resource.id, at, f"among its last log lines: {quoted(masked(line))}")
        for at, line in lines
        if line.strip()
    )


def _ended(reading: Reading | None) -> bool:
    return reading is not None and any(reading.metrics.get(name) for name in ("exited", "restarting", "crashes"))


def unexplained(root: str, alerts: Sequence[Alert], passed: Sequence[str]) -> Diagnosis:
    """Where nothing knows what to do: what there is to go on."""
    told = sorted(alerts, key=lambda alert: alert.pending_at)
    evidence = tuple(Evidence(a.resource, a.firing_at or a.pending_at, f"{a.rule}: {a.why}") for a in told)
    reasoning = f"{', '.join(dict.fromkeys(a.rule for a in told if a.resource == root))} on {root}"
    cause = next((said.partition(LEFT)[2] for said in passed if LEFT in said), "No runbook knows the cause.")
    return Diagnosis(root, cause, reasoning, evidence, tuple(passed), None, "watchkeeper")


def logged(
    root: str,
    alerts: Sequence[Alert],
    resources: Mapping[str, Resource],
    heard: Listening,
    at: datetime,
    fixes: Sequence[Fix] = (),
) -> tuple[Evidence, ...]:
    needed = resources[root].upstream if root in resources else ()
    places = _followed((root, *(alert.resource for alert in alerts), *needed), resources)
    behind = _followed(sorted(ties(resources).needs(root)), resources)
    further = [key for key in behind if key not in places]
    first = min((alert.pending_at for alert in alerts), default=at)
    return heard.evidence(places, first - EARLIER, at, doings(fixes, {*places, *further}), further)


def _followed(keys: Sequence[str], resources: Mapping[str, Resource]) -> dict[str, None]:
    """With what runs on them and what they run on: a container's log is followed as its service's, or as its own."""
    places = dict.fromkeys(keys)
    for key in tuple(places):
        places |= dict.fromkeys(ties(resources).carried.get(key, ()))
        if key in resources and (carrier := resources[key].runs_on):
            places[carrier] = None
    return places
