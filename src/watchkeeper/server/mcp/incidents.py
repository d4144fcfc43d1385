"""For agents that think in incidents: what is wrong, the whole story of one, and what became of a fix."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from watchkeeper.domain import Effect, Event, tool
from watchkeeper.server import incidents, resources
from watchkeeper.server.mcp.answers import (
    Advice,
    AlertLine,
    EvidenceView,
    FixView,
    Happening,
    IncidentLine,
    IncidentLines,
    IncidentStory,
    Status,
    Step,
    Watched,
)
from watchkeeper.server.mcp.call import Call
from watchkeeper.server.status_views import StatusView
from watchkeeper.server.views import AdviceView

BEAT = 1.0
"""Seconds after which it is seen that the time is over although nothing happens."""
FEW = 20
"""Events of an incident that are given unless more are asked for."""


@tool(Effect.READ)
async def get_status(call: Call, limit: Annotated[int, Ge(1), Le(100)] = 20, after: str | None = None) -> Status:
    """How everything watched is, worst first. Begin here: it gives the names that other tools take as `resource`."""
    page = await resources.status(call.runtime, call.who, limit, after)
    rest = page.total - len(page.items)
    return Status(
        mode=page.mode,
        paused=page.paused,
        total=page.total,
        counts={health.value: number for health, number in page.counts.items()},
        items=[_watched(item) for item in page.items],
        next=page.next,
        left_out=[f"{rest} of {page.total} resources are on other pages"] if rest else [],
    )


def _watched(item: StatusView) -> Watched:
    value = item.metric.value if item.metric else None
    return Watched(
        resource=item.slug,
        kind=item.kind,
        environment=item.environment,
        health=item.health.value,
        state=item.state,
        metric=f"{item.metric.name} {value:g}" if item.metric and value is not None else None,
        alerts=[alert.rule for alert in item.alerts if alert.status == "firing"],
        incident=item.incident,
        may_act=item.may_act,
    )


@tool(Effect.READ)
async def list_incidents(
    call: Call,
    status: Literal["active", "all"] = "active",
    limit: Annotated[int, Ge(1), Le(50)] = 10,
    before: datetime | None = None,
    wait_seconds: Annotated[float, Ge(0), Le(300)] = 0,
) -> IncidentLines:
    """The incidents, newest first: those that are not over, or all. Use it to learn what is wrong, or was. With
    `wait_seconds` it answers once there is one, or after so long: for who has nothing else to do."""
    if wait_seconds:
        await _until_one(call, status, limit, wait_seconds)
    page = await incidents.list_incidents(call.runtime, call.who, status, limit, before)
    items = [IncidentLine.of(view) for view in page.items]
    return IncidentLines(items=items, next=page.next, left_out=["older ones: see next"] if page.next else [])


async def _until_one(call: Call, status: Literal["active", "all"], limit: int, seconds: float) -> None:
    """Return once the list holds something, or after so many seconds."""
    newest = await call.runtime.store.events(limit=1, newest=True)
    until = asyncio.get_running_loop().time() + seconds
    if (await incidents.list_incidents(call.runtime, call.who, status, limit, None)).items:
        return
    async for event in call.runtime.store.follow(newest[-1].seq if newest else 0, heartbeat=min(BEAT, seconds)):
        opened = event is not None and event.kind in ("incident.opened", "incident.reopened")
        if opened or asyncio.get_running_loop().time() >= until:
            return


@tool(Effect.READ)
async def get_incident(call: Call, incident: str, events: Annotated[int, Ge(0), Le(200)] = FEW) -> IncidentStory:
    """The whole story of one incident: its cause with the evidence for and against it, alerts, what changed lately,
    what was done with what verdict, its last events, what Watchkeeper would do now. Use it before you propose a fix."""
    found = await incidents.show_incident(incident, call.runtime, call.who)
    view, diagnosis = found.incident, found.incident.diagnosis
    told = found.events[len(found.events) - events :] if events < len(found.events) else found.events
    rest = len(found.events) - len(told)
    return IncidentStory(
        incident=IncidentLine.of(view),
        resources=view.resources,
        reasoning=diagnosis.reasoning if diagnosis else None,
        evidence=[EvidenceView.of(one) for one in diagnosis.evidence] if diagnosis else [],
        against=[EvidenceView.of(one) for one in diagnosis.against] if diagnosis else [],
        ruled_out=list(diagnosis.ruled_out) if diagnosis else [],
        alerts=[
            AlertLine(rule=a.rule, resource=a.resource, status=a.status, severity=a.severity, why=a.why)
            for a in view.alerts
        ],
        changes=[_happening(event) for event in found.changes],
        fixes=[FixView.of(fix) for fix in found.fixes],
        events=[_happening(event) for event in told],
        advice=_advice(found.advice),
        left_out=[f"{rest} earlier events: ask for more with `events`"] if rest else [],
    )


def _happening(event: Event) -> Happening:
    return Happening(at=event.at, kind=event.kind, text=event.text)


def _advice(advice: AdviceView | None) -> Advice | None:
    if advice is None:
        return None
    fields: dict[str, Any] = {"policy": advice.decision.outcome, "reason": advice.decision.reason}
    steps = [
        Step(tool=s.tool, resource=s.resource, arguments=s.arguments, effect=s.effect, by_hand=s.by_hand or None)
        for s in advice.steps
    ]
    return Advice(author=advice.author, cause=advice.cause, steps=steps, **fields)


TOOLS = (get_status, list_incidents, get_incident)
