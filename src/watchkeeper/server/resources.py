"""`/api/resources`: what is watched, and how it is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from watchkeeper import __version__
from watchkeeper.decide import ALL
from watchkeeper.domain import LOOP, Incident, LogLine, NotFound, Reading, Window, now
from watchkeeper.domain.resource import WORST_FIRST
from watchkeeper.overruling import respecting
from watchkeeper.server import elsewhere
from watchkeeper.server.listing import incidents_by_resource, line, names_after, page_of, page_written
from watchkeeper.server.mode_views import mode_set
from watchkeeper.server.paging import After, Limit, page
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Viewer
from watchkeeper.server.silences import silence_view
from watchkeeper.server.status_views import ExecutorView, ResourceDetail, StatusPage, StatusView
from watchkeeper.server.views import (
    AdviceView,
    MetricView,
    Moment,
    Page,
    ResourceView,
    breaker_view,
    resource_view,
    steps_view,
    window_view,
)
from watchkeeper.watch import root_of, stopped_cause
from watchkeeper.watch.watcher import Watcher

router = APIRouter(prefix="/api/resources", tags=["resources"])
OUTSIDE = 20
"""Alerts from outside that the status shows."""


async def _incidents(runtime: Runtime) -> Mapping[str, Incident]:
    return await incidents_by_resource(runtime.store)


@router.get("", response_model=Page[ResourceView])
async def list_resources(runtime: Here, _: Viewer, limit: Limit = 500, after: After = None) -> Response:
    """Everything watched, by id."""
    incidents = await _incidents(runtime)
    watchers = dict(runtime.watch.watchers)
    others = {detail.id: detail for _, detail in await elsewhere.items(runtime, watchers)}
    if not others:
        return Response(page_written(runtime, limit, after, incidents), media_type="application/json")
    keys, following = names_after({**watchers, **others}, after, limit)

    def written(key: str) -> bytes:
        if key in others:
            return ResourceView(**others[key].model_dump()).model_dump_json().encode()
        return line(runtime, watchers[key], incidents[key].id if key in incidents else None)

    return Response(page_of([written(key) for key in keys], following), media_type="application/json")


def _by_health(one: Watcher | StatusView) -> tuple[int, str, str]:
    if isinstance(one, StatusView):
        return (WORST_FIRST.index(one.health), one.kind, one.slug)
    return (WORST_FIRST.index(one.health), one.connector.kind, one.resource.slug)


@router.get("/status")
async def status(runtime: Here, _: Viewer, limit: Limit = 500, after: After = None) -> StatusPage:
    """Health, the metric that matters, and for anything unwell what it would do now. Worst first."""
    incidents = await _incidents(runtime)
    at = now()
    windows = await runtime.decide.windows.standing(at)
    watchers = dict(runtime.watch.watchers)
    every = [*watchers.values(), *(view for view, _ in await elsewhere.items(runtime, watchers))]
    shown, following = page(every, _by_health, after, limit)
    items = [
        one
        if isinstance(one, StatusView)
        else await _status(runtime, one.resource.id, one, incidents.get(one.resource.id), windows)
        for one in shown
    ]
    modes = await runtime.decide.modes.standing()
    silenced = await runtime.silences.over([alert for item in items for alert in item.alerts], at)
    for item in items:
        item.silenced = {alert.rule: silenced[alert.id].id for alert in item.alerts if alert.id in silenced}
    return StatusPage(
        mode=runtime.decide.modes.of(ALL, modes),
        modes=[mode_set(runtime, one) for one in modes.values()],
        paused=await runtime.decide.stopped(),
        version=__version__,
        problems=runtime.watch.problems | dict(runtime.registry.broken),
        maintenance=[window_view(window, at) for window in windows],
        breakers=[breaker_view(one, at) for one in await runtime.decide.history.breakers()],
        silences=[await silence_view(runtime, one) for one in await runtime.silences.standing(at)],
        outside=(await runtime.outside.firing(at))[:OUTSIDE],
        items=items,
        next=following,
        total=len(every),
        counts=Counter(one.health for one in every),
        executors=[
            ExecutorView(**asdict(member), here=member.id == runtime.sharing.name)
            for member in await runtime.sharing.members()
        ],
    )


async def _status(
    runtime: Runtime, key: str, watcher: Watcher, incident: Incident | None, windows: list[Window]
) -> StatusView:
    connector = watcher.connector
    firing = max(
        (a for a in watcher.alerts.values() if a.status == "firing"), key=lambda alert: alert.health.rank, default=None
    )
    rules = [rule for rule in runtime.watch.rules if rule.kind == connector.kind]
    name = next((r.metric for r in rules if firing and r.id == firing.rule and r.metric), connector.metric)
    threshold = next((r.threshold for r in rules if r.metric == name and r.threshold is not None), None)
    value = watcher.last.metrics.get(name) if watcher.last and name else None
    metric = MetricView(name=name, value=value, threshold=threshold)
    alone = [a for a in watcher.alerts.values() if a.status == "firing"] if incident is None else []
    stopped = stopped_cause(key, alone, runtime.watch.watchers)
    root = runtime.watch.watchers.get(incident.root) if incident and key not in incident.roots else None
    return StatusView(
        id=key,
        slug=watcher.resource.slug,
        kind=connector.kind,
        environment=watcher.resource.environment,
        health=watcher.health,
        state=watcher.state,
        since=watcher.since,
        may_act=watcher.resource.may_act,
        metric=metric if name else None,
        alerts=list(watcher.alerts.values()),
        incident=incident.id if incident else None,
        stopped=stopped.cause if stopped else "",
        part_of=root.resource.slug if root else "",
        escalated=incident.reason if incident and incident.status == "escalated" else None,
        to_do=incident.to_do if incident and incident.status == "escalated" else "",
        held=hold.reason if incident and (hold := incident.held(now())) else None,
        maintenance=next((w.said for w in windows if w.covers(watcher.resource, now())), None),
        tended_by=runtime.watch.tending.said(key),
        advice=await advice(runtime, incident) if incident and incident.root == key else None,
        holder=runtime.sharing.name if runtime.store.shared else None,
    )


async def both_views(runtime: Runtime) -> list[tuple[StatusView, ResourceDetail]]:
    """What is looked at from here, as its line of the status and as its page."""
    incidents = await _incidents(runtime)
    windows = await runtime.decide.windows.standing(now())
    return [
        (await _status(runtime, key, w, incidents.get(key), windows), _detail(runtime, w, incidents.get(key)))
        for key, w in list(runtime.watch.watchers.items())
    ]


def _detail(runtime: Runtime, watcher: Watcher, incident: Incident | None) -> ResourceDetail:
    return ResourceDetail(
        **resource_view(
            watcher.resource,
            watcher.health,
            watcher.state,
            watcher.since,
            incident.id if incident else None,
            runtime.watch.tending.said(watcher.resource.id),
        ),
        reading=watcher.last,
        alerts=list(watcher.alerts.values()),
        settings=runtime.store.masker.value(dict(watcher.resource.settings)),
    )


async def advice(runtime: Runtime, incident: Incident) -> AdviceView | None:
    """What it would do now about an incident, and what policy says of that; None where it knows nothing to do."""
    at = runtime.watch.situation(incident.resources)
    firing = runtime.desk.firing(incident, at)
    if not firing:
        return None
    root = root_of(firing, runtime.watch.fleet.resources)
    if (reading := at.readings.get(root)) is not None and reading.off:
        return None  # what was stopped on purpose is left alone
    anew = incident.forgetting_refusals()
    plan, _ = await runtime.decide.next_plan(root, anew, at)
    if plan is None or plan.diagnosis is None:
        return None
    plan = await respecting(plan, anew, at, runtime.store, runtime.watch, runtime.decide)
    cause = plan.diagnosis.cause if plan.diagnosis else ""
    near = runtime.watch.neighbours(plan.resources)
    standing = await runtime.decide.standing(plan, at, near, incident=incident.id)
    decision = runtime.decide.permit(plan, at, LOOP, standing=standing)
    return AdviceView(author=plan.author, cause=cause, steps=steps_view(plan), decision=decision)


def watcher_of(runtime: Runtime, slug: str) -> Watcher | None:
    """None where another executor looks at it. Raises NotFound."""
    try:
        resource = runtime.watch.resource(slug)
    except NotFound:
        if runtime.store.shared:
            return None
        raise
    watcher = runtime.watch.watchers.get(resource.id)
    if watcher is None and not runtime.store.shared:
        raise NotFound(f"{slug} is not watched (any more).", "`watchkeeper status` lists what is.")
    return watcher


@router.get("/{slug}")
async def show_resource(slug: str, runtime: Here, _: Viewer) -> ResourceDetail:
    """One resource, by slug, with its last reading and alerts."""
    watcher = watcher_of(runtime, slug)
    if watcher is None:
        return (await elsewhere.find(runtime, slug))[1]
    return _detail(runtime, watcher, (await _incidents(runtime)).get(watcher.resource.id))


@router.get("/{slug}/readings")
async def readings(
    slug: str,
    runtime: Here,
    _: Viewer,
    since: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Page[Reading]:
    """Readings since a time (default: five minutes ago), oldest first: from memory, and from the store before that."""
    watcher = watcher_of(runtime, slug)
    key = watcher.resource.id if watcher else (await elsewhere.find(runtime, slug))[0].id
    since = since or now() - timedelta(minutes=5)
    ring = [reading for reading in watcher.ring if reading.at >= since] if watcher else []
    until = ring[0].at if ring else now()
    kept = await runtime.store.readings(key, since=since, until=until, limit=limit)
    known = {reading.at for reading in ring}
    return Page(items=[*(r for r in kept if r.at not in known), *ring][-limit:])


@router.get("/{slug}/logs")
async def logs(slug: str, runtime: Here, _: Viewer, limit: Annotated[int, Query(ge=1, le=2000)] = 200) -> Page[LogLine]:
    """The last log entries worth keeping (WARNING and worse); a service's are those of what it runs on too."""
    watcher = watcher_of(runtime, slug)
    if watcher is not None:
        key, carrier = watcher.resource.id, watcher.resource.runs_on
    else:
        detail = (await elsewhere.find(runtime, slug))[1]
        key, carrier = detail.id, detail.runs_on
    lines = await runtime.store.logs(key, limit=limit)
    if carrier:
        lines = sorted([*lines, *await runtime.store.logs(carrier, limit=limit)], key=lambda line: line.at)
    return Page(items=lines[-limit:])
