"""Who may, and who said so."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from watchkeeper.domain.plan import Plan

Outcome = Literal["allow", "ask", "deny"]
Role = Literal["viewer", "operator", "approver", "admin", "agent", "sender", "loop"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever acts: a person, an agent, the loop itself."""

    kind: Literal["person", "agent", "loop"]
    name: str
    role: Role

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"


LOOP = Principal("loop", "watchkeeper", "loop")


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says of a step, and why. A plan's decision is its strictest step's."""

    outcome: Outcome
    policy: str
    reason: str
    approvers: frozenset[str] = frozenset[str]()
    until: datetime | None = None
    """Where it is denied only for now: when it may be asked again."""
    warnings: tuple[str, ...] = ()
    """What would have kept anybody but a person from it."""

    @property
    def rank(self) -> int:
        return {"allow": 0, "ask": 1, "deny": 2}[self.outcome]


ApprovalStatus = Literal["waiting", "approved", "rejected", "expired", "void"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A row with expiry that waits for a person. Bound by `digest` to what was shown to them."""

    id: str
    incident: str | None
    fix: str
    """The id the fix will have if it is approved."""
    plan: Plan
    decision: Decision
    digest: str
    requested_by: Principal
    created_at: datetime
    expires_at: datetime
    status: ApprovalStatus = "waiting"
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""

    def decide(self, status: ApprovalStatus, by: Principal, at: datetime, note: str = "") -> "Approval":
        return replace(self, status=status, decided_by=by.id, decided_at=at, note=note)

    def asked(self, at: datetime) -> "Event":
        """What tells that it waits for a person, or who has agreed already."""
        waits = self.status == "waiting"
        steps = f"{', '.join(step.on for step in self.plan.steps)} ({self.plan.effect})"
        said = f"waits for a person: {self.decision.reason}" if waits else f"is asked for by {self.decided_by}"
        return Event(
            "approval.requested" if waits else "approval.approved",
            self.id,
            f"{steps} {said}",
            at,
            by=self.requested_by.id,
            incident=self.incident,
            data={"expires_at": self.expires_at.isoformat(), "by_hand": [s.by_hand for s in self.plan.steps]},
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only history, written in the transaction of the change it tells."""

    kind: str
    """`alert.firing`, `incident.opened`, `fix.step.done`, `approval.requested` …"""
    subject: str
    """Id of what changed."""
    text: str
    at: datetime
    by: str = "loop:watchkeeper"
    incident: str | None = None
    resource: str | None = None
    data: dict[str, object] = field(default_factory=dict[str, object])
    seq: int = 0

    @property
    def quiet(self) -> bool:
        """Whether nobody is told of it: another event tells the same, or they were told before."""
        return bool(self.data.get("quiet"))
