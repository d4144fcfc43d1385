"""Conditions over readings, and the alerts they raise."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from watchkeeper.domain.condition import Condition
from watchkeeper.domain.resource import Health

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""The least grave first."""
AlertStatus = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, why it matters, and what to do. `clear` gives hysteresis; without it, `not when`."""

    id: str
    kind: str
    when: Condition
    for_seconds: float
    severity: Severity
    health: Health
    why: str
    source: str
    clear: Condition | None = None
    recommend: str = ""
    runbook: str | None = None
    confirm: bool = False
    """True where a person must say that it is wanted at all, whatever policy allows (a stop nobody explained)."""
    explains_host: bool = False
    """True where it explains why what it runs on has ended (a full disk): then its own tools go first."""
    explains_services: bool = False
    """True where it explains what alerts on what runs on it, though it has not failed itself (its network)."""
    own_cause: bool = False
    """True where its cause can only lie in the thing itself (its own configuration): nothing it needs explains it."""
    metric: str = ""
    """The metric to show beside it, and `threshold` to show it against."""
    threshold: float | None = None
    detail: str = ""
    """The fact that says what it is about here (which table, which statement): told with why it matters."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that holds on a resource: pending → firing → resolved, as in Prometheus."""

    id: str
    rule: str
    resource: str
    severity: Severity
    health: Health
    status: AlertStatus
    pending_at: datetime
    why: str = ""
    value: float | None = None
    firing_at: datetime | None = None
    resolved_at: datetime | None = None
    incident: str | None = None
    confirm: bool = False
    explains_host: bool = False
    explains_services: bool = False
    own_cause: bool = False

    @property
    def covers_services(self) -> bool:
        """Whether it is the cause of what alerts on what runs there, rather than what that did to it."""
        return self.health is Health.FAILED or self.explains_services

    @property
    def grave(self) -> int:
        """The more of it, the graver."""
        return SEVERITIES.index(self.severity)

    @property
    def gravity(self) -> tuple[bool, int]:
        """How bad it is: the more of it, the worse."""
        return self.severity == "critical", self.health.rank

    def fire(self, at: datetime, why: str = "") -> "Alert":
        return replace(self, status="firing", firing_at=at, why=why or self.why)

    def resolve(self, at: datetime) -> "Alert":
        return replace(self, status="resolved", resolved_at=at)

    def beside(self, began: datetime) -> str:
        """What it does next to a fix that began then and healed what it was for."""
        return "fires still" if self.pending_at < began else "has joined meanwhile"

    def join(self, incident: str) -> "Alert":
        return replace(self, incident=incident)
