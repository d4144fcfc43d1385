"""What the API shows: the words of `domain`, joined to what a reader needs beside them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from watchkeeper.domain import (
    Alert,
    Approval,
    Breaker,
    Decision,
    Diagnosis,
    Effect,
    Event,
    FixStatus,
    Health,
    Hold,
    Incident,
    IncidentOutcome,
    IncidentStatus,
    Plan,
    Principal,
    Reading,
    Resource,
    Said,
    StepRecord,
    Stop,
    Verdict,
    Window,
    now,
)
from watchkeeper.domain.outside import OutsideAlert
from watchkeeper.domain.spared import spared

T = TypeVar("T")


def _in_utc(at: datetime) -> datetime:
    """A time without a zone is taken to be UTC; one at the edge of the calendar has no other zone."""
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:
        return at.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time somebody asks for."""


class View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[T]):
    """Items, and the cursor for the next page where there is one."""

    items: list[T]
    next: str | None = None


class ResourceView(View):
    id: str
    slug: str
    provider: str
    environment: str
    kind: str
    name: str
    labels: dict[str, str]
    depends_on: list[str]
    runs_on: str | None
    may_act: bool
    tended_by: list[str] = Field(default_factory=list[str])
    """Who else brings it back: a restart policy, systemd, Sentinel; in words."""
    health: Health
    state: str
    since: datetime
    incident: str | None


class MetricView(BaseModel):
    name: str
    value: float | None
    threshold: float | None = None


class StepView(BaseModel):
    """One step it would take: `decision` is what policy says of the plan."""

    tool: str
    resource: str
    arguments: dict[str, Any]
    effect: Effect
    why: str
    by_hand: str
    in_bytes: list[str] = Field(default_factory=list[str])
    """The arguments that count bytes."""


class AdviceView(BaseModel):
    """What it would do now, and what policy says of it."""

    author: str
    cause: str
    steps: list[StepView]
    decision: Decision


class WindowView(View):
    """A maintenance window: one that holds (`now`), or the next of a schedule."""

    id: str
    resources: list[str]
    begins: datetime
    ends: datetime
    reason: str
    by: str
    now: bool
    quiet: bool
    """Whether messages are kept back meanwhile, too."""


class BreakerView(View):
    """A tool that failed too often in a row. `resource` is null where it is open everywhere."""

    tool: str
    resource: str | None
    opened_at: datetime
    half_open_at: datetime
    half_open: bool
    failures: int
    said: str


class SilenceView(View):
    """What people are not told of; `kept_back`: how many messages of each kind were not told."""

    id: str
    status: str
    about: str
    resource: str
    rule: str
    severity: str
    approvals: bool
    begins: datetime
    ends: datetime
    reason: str
    by: str
    kept_back: dict[str, int]


class IncidentView(View):
    id: str
    title: str
    status: IncidentStatus
    outcome: IncidentOutcome | None
    said: str
    """How it ended, or how far it is, in words for a person: `waits for approval`, `handed to a person`."""
    root: str
    roots: list[str]
    """`root`, and where several faults have one incident the others: each healed, or to be healed, in its turn."""
    resources: list[str]
    opened_at: datetime
    closed_at: datetime | None
    reason: str
    to_do: str
    """What a person should do next, where it was handed to one."""
    reopened: int
    reopened_at: datetime | None
    """When it came back for the last time."""
    well_seconds: float
    """How long it was over before it came back, each time together."""
    diagnosis: Diagnosis | None
    alerts: list[Alert]
    spared: list[str]
    """Of each model that got worse because of a root: that it is the root which is to be mended."""
    fixes: list[str]
    approval: Approval | None
    merged_into: str | None = None
    """The incident it turned out to be part of."""
    absorbed: list[str] = []
    """Those that turned out to be part of it."""
    silenced: str | None = None
    """The silence because of which people are not told of it."""
    acknowledged: Said | None = None
    """Who looks after it."""
    unwatched_seconds: float = 0.0
    """How long of it nobody watched."""
    held: Hold | None = None
    """What keeps the hands still here now, until when, and how a person insists."""
    left: Said | None = None
    """Who has taken it over: the loop begins nothing there until it is told to try again."""
    waits_for: str | None = None
    """What somebody has said that is so once the fix at work is over: that it is closed, or left to people."""

    @classmethod
    def of(cls, incident: Incident, alerts: list[Alert], approval: Approval | None) -> "IncidentView":
        return cls(
            id=incident.id,
            title=incident.title,
            status=incident.status,
            outcome=incident.outcome,
            said=incident.said,
            root=incident.root,
            roots=list(incident.roots),
            resources=list(incident.resources),
            opened_at=incident.opened_at,
            closed_at=incident.closed_at,
            reason=incident.reason,
            to_do=incident.to_do if incident.status == "escalated" else "",
            reopened=incident.reopened,
            reopened_at=incident.reopened_at,
            well_seconds=incident.well_seconds,
            diagnosis=incident.diagnosis,
            alerts=sorted(alerts, key=lambda alert: alert.pending_at),
            spared=list(spared(incident.roots, alerts)),
            fixes=list(incident.fixes),
            approval=approval,
            merged_into=incident.merged_into,
            absorbed=list(incident.absorbed),
            acknowledged=incident.acknowledged,
            held=incident.held(now()),
            left=incident.left,
            waits_for=incident.waits_for,
        )


class FixView(View):
    """The record of one executed plan. May exist without an incident."""

    id: str
    said: str
    """How it ended, in a word or two: `healed`, `still well` (nothing was wrong before), `recovered` (though every
    step failed), `not healed`, `not tried` (refused before anything was done), `inconclusive`; before its end how far
    it is."""
    incident: str | None
    plan: Plan
    principal: Principal
    decision: Decision
    status: FixStatus
    started_at: datetime
    deadline: datetime
    before: dict[str, Reading]
    neighbours: dict[str, str]
    """Health of the neighbours before: none may be worse after."""
    steps: list[StepRecord]
    undo: list[StepRecord]
    verdict: Verdict | None
    executed_at: datetime | None
    finished_at: datetime | None
    approved_by: str
    stopped: Stop | None
    """By whom it was stopped before it was through."""
    archived: Said | None
    """By whom it was put away: lists leave it out."""


class IncidentDetail(BaseModel):
    incident: IncidentView
    fixes: list[FixView]
    events: list[Event]
    events_left_out_after: int | None
    """Of an incident with more than a thousand events those between its beginning and the newest are left out: this is
    the `seq` after which. `/api/events?incident=…&after=…` has them."""
    changes: list[Event]
    """What changed on its resources and what they need, from a day before it opened; the nearest to that first."""
    outside: list[OutsideAlert]
    """What others told of its resources while it lasted."""
    advice: AdviceView | None


class ToolView(BaseModel):
    name: str
    title: str
    kind: str
    description: str
    effect: Effect
    has_undo: bool
    timeout: float
    settle: float
    cost: float | None
    """US dollars by which a call raises the bill of a month; null where it changes no bill."""
    by_hand: str
    input_schema: dict[str, Any]
    breakers: list[BreakerView]
    """Those of its breakers that are open."""


class ConnectorView(BaseModel):
    """A connector and its conduct. `offences`: how often, by what it did, since the start."""

    name: str
    standing: str
    problem: str | None
    resources: int = 0
    tools: int = 0
    rules: int = 0
    since: datetime | None = None
    offences: dict[str, int] = {}
    last_offence: str | None = None


class Submitted(BaseModel):
    """What became of it: `done` with an output, `running` with a fix, or `awaiting_approval`."""

    status: str
    decision: Decision
    fix_id: str | None = None
    approval_id: str | None = None
    expires_at: datetime | None = None
    warnings: list[str] = []
    """What would have kept anybody but a person from it."""
    output: Any = None


class CallTool(BaseModel):
    model_config = ConfigDict(extra="forbid")
    resource: str
    arguments: dict[str, Any] = {}


class Trigger(BaseModel):
    model_config = ConfigDict(extra="forbid")
    resource: str


class Decide(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: str = ""


def resource_view(
    resource: Resource,
    health: Health,
    state: str,
    since: datetime,
    incident: str | None,
    tended_by: Sequence[str] = (),
) -> dict[str, Any]:
    """The fields that every view of a resource shares."""
    return {
        "id": resource.id,
        "slug": resource.slug,
        "provider": resource.provider,
        "environment": resource.environment,
        "kind": resource.kind,
        "name": resource.name,
        "labels": dict(resource.labels),
        "depends_on": list(resource.depends_on),
        "runs_on": resource.runs_on,
        "may_act": resource.may_act,
        "tended_by": list(tended_by),
        "health": health,
        "state": state,
        "since": since,
        "incident": incident,
    }


def steps_view(plan: Plan) -> list[StepView]:
    return [
        StepView(
            tool=s.tool,
            resource=s.resource,
            arguments=dict(s.arguments),
            effect=s.effect,
            why=s.why,
            by_hand=s.by_hand,
            in_bytes=list(s.in_bytes),
        )
        for s in plan.steps
    ]


def window_view(window: Window, at: datetime) -> WindowView:
    return WindowView(
        id=window.id,
        resources=list(window.resources),
        begins=window.begins,
        ends=window.ends,
        reason=window.reason,
        by=window.by,
        now=window.stands(at),
        quiet=window.quiet,
    )


def breaker_view(breaker: Breaker, at: datetime) -> BreakerView:
    return BreakerView(
        tool=breaker.tool,
        resource=breaker.resource,
        opened_at=breaker.opened_at,
        half_open_at=breaker.half_open_at,
        half_open=breaker.half_open(at),
        failures=len(breaker.failures),
        said=breaker.said,
    )
