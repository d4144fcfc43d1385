"""`/api/rules`: when it raises an alert; changed while it runs, for everything or one resource, and back."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.domain import (
    ConfigurationError,
    Event,
    Forbidden,
    Health,
    Principal,
    Rule,
    Said,
    WatchkeeperError,
    now,
)
from watchkeeper.domain.duration import seconds
from watchkeeper.server.incidents import id_of
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import Page
from watchkeeper.watch.rulebook import CHANGED, EVERYTHING, Adjustment, Change

router = APIRouter(prefix="/api/rules", tags=["rules"])
SHOWN = 50
"""Changes that are told with a rule, the newest."""
Which = Annotated[str | None, Query(max_length=500, description="a slug or an id; else for everything")]


class RuleChangeView(BaseModel):
    """What somebody changed while it runs; null: as the rule says."""

    resource: str | None
    """By its id; null: everything that has no change of its own."""
    slug: str | None
    enabled: bool
    when: str | None
    clear: str | None
    for_seconds: float | None
    severity: str | None
    by: str
    at: datetime
    note: str


class RuleView(BaseModel):
    """As it holds for everything that has no change of its own in `changes`."""

    rule: str
    kind: str
    when: str
    clear: str | None
    for_seconds: float
    severity: str
    health: Health
    why: str
    source: str
    runbook: str | None
    enabled: bool = True
    changes: list[RuleChangeView] = []


class RuleStory(RuleView):
    configured: RuleView
    """As the connector and the configuration have it."""
    history: list[Event]
    """Who changed it; the newest last."""


class ChangeRule(BaseModel):
    """What is not given is as configured."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    resource: str | None = Field(default=None, min_length=1, max_length=500)
    """A slug or an id; without it everything that has no change of its own."""
    threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """In place of the number in its condition; where it clears keeps its share of it."""
    when: str | None = Field(default=None, min_length=1, max_length=2000)
    """A condition in CEL, tried against a sample reading."""
    clear: str | None = Field(default=None, min_length=1, max_length=2000)
    for_: str | float | None = Field(default=None, alias="for")
    """`30s`, `5m`, or seconds; at most a week."""
    severity: Literal["info", "warning", "critical"] | None = None
    enabled: bool = True
    note: str = Field(default="", max_length=1000)


class UndoRule(BaseModel):
    model_config = ConfigDict(extra="forbid")
    resource: str | None = Field(default=None, min_length=1, max_length=500)
    note: str = Field(default="", max_length=1000)


class Unfit(WatchkeeperError):
    """What a rule cannot be."""

    status = 422


def _plain(rule: Rule) -> RuleView:
    return RuleView(
        rule=rule.id,
        kind=rule.kind,
        when=rule.when.source,
        clear=rule.clear.source if rule.clear else None,
        for_seconds=rule.for_seconds,
        severity=rule.severity,
        health=rule.health,
        why=rule.why,
        source=rule.source,
        runbook=rule.runbook,
    )


def _change(runtime: Runtime, one: Adjustment) -> RuleChangeView:
    known = runtime.watch.fleet.resources.get(one.resource)
    return RuleChangeView(
        resource=one.resource or None,
        slug=known.slug if known is not None else None,
        enabled=one.change.enabled,
        when=one.change.when,
        clear=one.change.clear,
        for_seconds=one.change.for_seconds,
        severity=one.change.severity,
        by=one.said.by,
        at=one.said.at,
        note=one.said.note,
    )


def _view(runtime: Runtime, configured: Rule) -> RuleView:
    book = runtime.watch.rulebook
    held = next((rule for rule in book.rules if rule.id == configured.id), None)
    changes = [_change(runtime, one) for (rule, _), one in book.adjustments.items() if rule == configured.id]
    return _plain(held or configured).model_copy(update={"enabled": held is not None, "changes": changes})


async def _story(runtime: Runtime, rule: Rule) -> RuleStory:
    history = await runtime.store.events(kinds=(CHANGED,), subject=rule.id, limit=SHOWN, newest=True)
    return RuleStory(**_view(runtime, rule).model_dump(), configured=_plain(rule), history=history)


@router.get("")
async def list_rules(runtime: Here, _: Viewer) -> Page[RuleView]:
    """Every rule, with the configuration's changes and those made while it runs."""
    return Page(items=[_view(runtime, rule) for rule in runtime.watch.rulebook.configured])


@router.get("/{rule}")
async def show_rule(rule: str, runtime: Here, _: Viewer) -> RuleStory:
    """One rule as it holds, as it is configured, and who changed it."""
    return await _story(runtime, runtime.watch.rulebook.rule(rule))


@router.put("/{rule}")
async def change_rule(rule: str, body: ChangeRule, runtime: Here, who: Operator) -> RuleStory:
    """Change when it fires, for everything or one resource; the next look, which comes at once, is judged by it. It
    holds until it is set as configured. To switch it off for everything takes an admin."""
    known = runtime.watch.rulebook.rule(rule)
    key = await _key(runtime, rule, body.resource)
    if not body.enabled:
        _may_switch_off(runtime, who, key)
    if body.threshold is not None and (body.when or body.clear):
        raise Unfit("Give a threshold, or conditions, not both.")
    try:
        lasts = seconds(body.for_) if body.for_ is not None else None
        wanted = Change(body.when, body.clear, lasts, body.severity, body.enabled)
        change = runtime.watch.rulebook.checked(known, wanted, body.threshold)
    except ConfigurationError as problem:
        raise Unfit(f"{rule}: {problem.what}", problem.next_step) from None
    if change == Change():
        raise Unfit("Say what is to be another: threshold, when, clear, for, severity, or enabled: false.")
    await runtime.watch.rulebook.change(rule, key, change, Said(who.id, now(), body.note), body.resource or "")
    return await _story(runtime, known)


@router.delete("/{rule}")
async def reset_rule(rule: str, runtime: Here, who: Operator, resource: Which = None) -> RuleStory:
    """As configured again, for everything that has no change of its own, or for one resource."""
    known = runtime.watch.rulebook.rule(rule)
    key = await _key(runtime, rule, resource)
    await runtime.watch.rulebook.change(rule, key, None, Said(who.id, now()), resource or "")
    return await _story(runtime, known)


@router.post("/{rule}/undo")
async def undo_rule(rule: str, body: UndoRule, runtime: Here, who: Operator) -> RuleStory:
    """As it was before the last change of it, there or for everything."""
    known = runtime.watch.rulebook.rule(rule)
    key = await _key(runtime, rule, body.resource)
    was = await runtime.watch.rulebook.before(rule, key)
    if was is not None and not was.enabled:
        _may_switch_off(runtime, who, key)
    await runtime.watch.rulebook.change(rule, key, was, Said(who.id, now(), body.note), body.resource or "")
    return await _story(runtime, known)


async def _key(runtime: Runtime, rule: str, resource: str | None) -> str:
    """By its id, also where it is gone and its change still stands. Raises NotFound, Unfit."""
    if resource is None:
        return EVERYTHING
    if (rule, resource) in runtime.watch.rulebook.adjustments:
        return resource
    return await id_of(runtime, resource)


def _may_switch_off(runtime: Runtime, who: Principal, key: str) -> None:
    """Raises Forbidden."""
    if key == EVERYTHING and not runtime.access.allows(who, "administer", "switch_off_rule"):
        raise Forbidden(
            f"To switch a rule off for everything takes an admin; {who.name} has the role {who.role}.",
            "Switch it off for one resource, or silence it: docs/access.md.",
        )
