"""What our own tools give: the words of `domain`, in short."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from watchkeeper.domain import Evidence, Fix, Plan, StepRecord
from watchkeeper.server import views
from watchkeeper.server.views import IncidentView


class Answer(BaseModel):
    """What every answer may say besides."""

    left_out: list[str] = []
    """What was not given, in words; with how to get it where there is a way."""


class Watched(BaseModel):
    """One thing that is watched. `resource` is what other tools take."""

    resource: str
    kind: str
    environment: str
    health: str
    state: str
    metric: str | None = None
    alerts: list[str] = []
    incident: str | None = None
    may_act: bool


class Status(Answer):
    mode: str
    paused: str | None = None
    total: int
    counts: dict[str, int]
    items: list[Watched]
    next: str | None = Field(default=None, description="hand it back as `after` for more")


class IncidentLine(BaseModel):
    id: str
    title: str
    status: str
    outcome: str | None = None
    root: str
    opened_at: datetime
    closed_at: datetime | None = None
    cause: str | None = None
    reason: str | None = None
    waits_for: str | None = Field(default=None, description="the approval that a person must give")

    @classmethod
    def of(cls, view: IncidentView) -> "IncidentLine":
        waiting = view.approval is not None and view.approval.status == "waiting"
        return cls(
            id=view.id,
            title=view.title,
            status=view.status,
            outcome=view.outcome,
            root=view.root,
            opened_at=view.opened_at,
            closed_at=view.closed_at,
            cause=view.diagnosis.cause if view.diagnosis else None,
            reason=view.reason or None,
            waits_for=view.approval.id if view.approval and waiting else None,
        )


class IncidentLines(Answer):
    items: list[IncidentLine]
    next: str | None = Field(default=None, description="hand it back as `before` for older ones")


class EvidenceView(BaseModel):
    resource: str
    at: datetime
    what: str

    @classmethod
    def of(cls, found: Evidence) -> "EvidenceView":
        return cls(resource=found.resource, at=found.at, what=found.what)


class AlertLine(BaseModel):
    rule: str
    resource: str
    status: str
    severity: str
    why: str


class Happening(BaseModel):
    at: datetime
    kind: str
    text: str


class Step(BaseModel):
    tool: str
    resource: str
    arguments: dict[str, Any] = {}
    effect: str | None = None
    status: str | None = None
    error: str | None = None
    output: Any = None
    by_hand: str | None = None

    @classmethod
    def planned(cls, plan: Plan) -> "list[Step]":
        return [
            cls(
                tool=step.tool,
                resource=step.resource,
                arguments=dict(step.arguments),
                effect=step.effect,
                by_hand=step.by_hand or None,
            )
            for step in plan.steps
        ]

    @classmethod
    def taken(cls, record: StepRecord) -> "Step":
        return cls(
            tool=record.tool,
            resource=record.resource,
            arguments=dict(record.arguments),
            status=record.status,
            error=record.error,
            output=record.output,
        )


class FixView(Answer):
    """`status`: awaiting_approval, approved, rejected, expired, void; then running, executed, undoing, closed."""

    fix_id: str
    status: str
    over: bool = Field(description="nothing more comes of it")
    author: str
    steps: list[Step] = []
    undone: list[Step] = []
    verdict: str | None = Field(
        default=None,
        description="healed, still well (nothing was wrong before), recovered (though every step failed), not healed, "
        "inconclusive: from readings and probe "
        "alone; or not tried: it was refused, and nothing was done",
    )
    reasons: list[str] = []
    approval_id: str | None = None
    expires_at: datetime | None = None
    decided_by: str | None = None
    note: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next: str | None = None

    @classmethod
    def of(cls, fix: Fix | views.FixView) -> "FixView":
        return cls(
            fix_id=fix.id,
            status=fix.status,
            over=fix.status == "closed",
            author=fix.plan.author,
            steps=[Step.taken(record) for record in fix.steps] or Step.planned(fix.plan),
            undone=[Step.taken(record) for record in fix.undo],
            verdict=fix.said if fix.verdict else None,
            reasons=list(fix.verdict.reasons) if fix.verdict else [],
            decided_by=fix.approved_by or None,
            started_at=fix.started_at,
            finished_at=fix.finished_at,
        )


class Advice(BaseModel):
    """What Watchkeeper itself would do now, and what policy says of that."""

    author: str
    cause: str
    steps: list[Step]
    policy: str
    reason: str


class IncidentStory(Answer):
    incident: IncidentLine
    resources: list[str]
    reasoning: str | None = None
    evidence: list[EvidenceView] = []
    against: list[EvidenceView] = []
    ruled_out: list[str] = []
    alerts: list[AlertLine]
    changes: list[Happening] = Field(
        default=[], description="what changed on it and on what it needs, the nearest first"
    )
    fixes: list[FixView] = []
    events: list[Happening]
    advice: Advice | None = None


class RunbookLine(BaseModel):
    name: str
    kind: str
    cause: str
    when: str
    ladder: list[list[str]] = Field(description="plans from gentlest to harshest, as the tools of their steps")
    page: str | None = None


class Runbooks(Answer):
    items: list[RunbookLine]


class Metric(BaseModel):
    name: str
    last: float
    least: float | None = None
    greatest: float | None = None
    points: list[tuple[str, float]] = Field(default=[], description="time and value, thinned out evenly")


class Readings(Answer):
    resource: str
    looks: int
    first_at: datetime | None = None
    last_at: datetime | None = None
    state: str | None = None
    error: str | None = None
    metrics: list[Metric]
    facts: dict[str, str] = {}


class Line(BaseModel):
    at: datetime
    resource: str
    level: str
    text: str


class Lines(Answer):
    items: list[Line]
    next: int | None = Field(default=None, description="hand it back as `before` for older ones")


class Submitted(Answer):
    status: str
    fix_id: str | None = None
    approval_id: str | None = None
    expires_at: str | None = None
    reason: str | None = None
    next: str | None = None
    output: Any = None
