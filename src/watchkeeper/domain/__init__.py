"""The words: pure values, the same everywhere. No I/O; imports nothing of ours."""

from watchkeeper.domain.clock import Clock, clock, now
from watchkeeper.domain.condition import Condition, Scope, numbers, scope
from watchkeeper.domain.connector import Connector, HearsModels, ListsClients
from watchkeeper.domain.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    LeftToPeople,
    NotFound,
    Refused,
    WatchkeeperError,
)
from watchkeeper.domain.incident import (
    Fix,
    FixStatus,
    Incident,
    IncidentOutcome,
    IncidentStatus,
    StepRecord,
    StepStatus,
)
from watchkeeper.domain.network import Address, Attachment, Connection, Network
from watchkeeper.domain.plan import Diagnosis, Effect, Evidence, Plan, Runbook, RungStep, Step
from watchkeeper.domain.policy import LOOP, Approval, ApprovalStatus, Decision, Event, Outcome, Principal, Role
from watchkeeper.domain.reading import Probe, Reading
from watchkeeper.domain.resource import (
    ExecResult,
    Health,
    Host,
    HostState,
    Level,
    Limits,
    LogLine,
    Resource,
    StopCause,
)
from watchkeeper.domain.restraint import Breaker, Hold, Silence, Standing, Window
from watchkeeper.domain.rights import Held, Right
from watchkeeper.domain.rule import Alert, AlertStatus, Rule, Severity
from watchkeeper.domain.said import Said, Stop
from watchkeeper.domain.size import InBytes
from watchkeeper.domain.tool import Precondition, Tool, tool
from watchkeeper.domain.verdict import Verdict, VerdictOutcome

__all__ = [
    "LOOP",
    "Address",
    "Alert",
    "AlertStatus",
    "Approval",
    "ApprovalStatus",
    "Attachment",
    "Breaker",
    "Clock",
    "Condition",
    "ConfigurationError",
    "Conflict",
    "Connection",
    "Connector",
    "Decision",
    "Diagnosis",
    "Effect",
    "Event",
    "Evidence",
    "ExecResult",
    "Fix",
    "FixStatus",
    "Forbidden",
    "Health",
    "HearsModels",
    "Held",
    "Hold",
    "Host",
    "HostState",
    "InBytes",
    "Incident",
    "IncidentOutcome",
    "IncidentStatus",
    "LeftToPeople",
    "Level",
    "Limits",
    "ListsClients",
    "LogLine",
    "Network",
    "NotFound",
    "Outcome",
    "Plan",
    "Precondition",
    "Principal",
    "Probe",
    "Reading",
    "Refused",
    "Resource",
    "Right",
    "Role",
    "Rule",
    "Runbook",
    "RungStep",
    "Said",
    "Scope",
    "Severity",
    "Silence",
    "Standing",
    "Step",
    "StepRecord",
    "StepStatus",
    "Stop",
    "StopCause",
    "Tool",
    "Verdict",
    "VerdictOutcome",
    "WatchkeeperError",
    "Window",
    "clock",
    "now",
    "numbers",
    "scope",
    "tool",
]
