"""Values for tests: each with sensible defaults, so that a test names only what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from watchkeeper.domain import (
    LOOP,
    Alert,
    Condition,
    Decision,
    Effect,
    Fix,
    Health,
    Incident,
    Plan,
    Reading,
    Resource,
    Rule,
    Step,
)
from watchkeeper.domain.situation import Situation

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def resource(
    name: str = "cache", *, environment: str = "lab", kind: str = "redis", provider: str = "docker", **more: Any
) -> Resource:
    given: dict[str, Any] = {"slug": name, "may_act": True, "incarnation": "first"} | more
    return Resource(id=f"{provider}/{environment}/{kind}/{name}", **given)


CACHE = resource()


def reading(of: Resource | str = CACHE, at: datetime = T0, **metrics: float) -> Reading:
    return Reading(of if isinstance(of, str) else of.id, at, 0.001, metrics)


def rule(when: str = "reading.used > 0.9", *, id: str = "full", seconds: float = 4.0, **more: Any) -> Rule:
    given: dict[str, Any] = {
        "kind": "redis",
        "severity": "critical",
        "health": Health.DEGRADED,
        "why": "It is full.",
        "source": "a test",
    } | more
    if isinstance(given.get("clear"), str):
        given["clear"] = Condition(given["clear"])
    return Rule(id=id, when=Condition(when), for_seconds=seconds, **given)


def alert(of: Resource | str = CACHE, *, rule: str = "full", at: datetime = T0, **more: Any) -> Alert:
    key = of if isinstance(of, str) else of.id
    given: dict[str, Any] = {
        "severity": "critical",
        "health": Health.DEGRADED,
        "status": "firing",
        "why": "It is full.",
        "firing_at": at,
        "id": f"alr-{rule}-{key}",
    } | more
    return Alert(rule=rule, resource=key, pending_at=at, **given)


def situation(*resources: Resource, readings: tuple[Reading, ...] = (), alerts: tuple[Alert, ...] = ()) -> Situation:
    return Situation(
        at=T0,
        resources={known.id: known for known in resources},
        readings={known.resource: known for known in readings},
        alerts=alerts,
        health={known.id: Health.HEALTHY for known in resources},
        showing=frozenset(known.id for known in alerts if known.status == "firing"),
    )


def step(tool: str = "grow", of: Resource = CACHE, effect: Effect = Effect.REVERSIBLE, **arguments: Any) -> Step:
    return Step(tool, of.id, arguments, effect=effect)


def plan(*steps: Step, author: str = "runbook:full#1", **more: Any) -> Plan:
    return Plan(author, steps or (step(),), T0, **more)


def incident(root: Resource | str = CACHE, *, id: str = "inc-1", at: datetime = T0, **more: Any) -> Incident:
    key = root if isinstance(root, str) else root.id
    given: dict[str, Any] = {"resources": (key,), "title": f"full on {key}"} | more
    return Incident(id=id, root=key, opened_at=at, **given)


def fix(of: Plan | None = None, *, id: str = "fix-1", incident: str | None = "inc-1", **more: Any) -> Fix:
    given: dict[str, Any] = {
        "principal": LOOP,
        "decision": Decision("allow", "lab/reversible", "reversible is allowed on lab."),
        "status": "closed",
        "started_at": T0,
        "deadline": after(600),
    } | more
    return Fix(id=id, incident=incident, plan=of or plan(), **given)
