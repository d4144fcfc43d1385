"""Alerts that belong together, and the records of what was done about them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from watchkeeper.domain.errors import LeftToPeople
from watchkeeper.domain.plan import Diagnosis, Plan
from watchkeeper.domain.policy import LOOP, Decision, Principal
from watchkeeper.domain.reading import Reading
from watchkeeper.domain.restraint import Hold
from watchkeeper.domain.said import Said, Stop
from watchkeeper.domain.verdict import Verdict

if TYPE_CHECKING:
    from watchkeeper.domain.rule import Alert

IncidentStatus = Literal["open", "diagnosing", "awaiting_approval", "fixing", "verifying", "closed", "escalated"]
IncidentOutcome = Literal["healed", "recovered", "gone", "by_human", "merged"]
StepStatus = Literal["intended", "acting", "done", "failed", "refused", "unknown", "skipped"]
FixStatus = Literal["running", "executed", "undoing", "closed"]
WORDS = {
    "awaiting_approval": "waits for approval",
    "escalated": "handed to a person",
    "recovered": "recovered, not by Watchkeeper",
    "gone": "gone on purpose",
    "by_human": "ended by a person",
    "merged": "part of another",
}
"""What a status or an outcome is called where a person reads it, where that is another word."""
LASTS = 2
"""Relapses in which what healed before is done again; from then on it counts as what does not help."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step as it went. `before` is the state recorded before acting; it tells, after a crash, whether it was done.

    `intended` and `acting` are written before the act, the rest after it. `unknown`: begun, and nothing can tell
    whether it was done; it is not repeated but judged.
    """

    index: int
    tool: str
    resource: str
    arguments: Mapping[str, Any]
    status: StepStatus
    before: Any = None
    after: Any = None
    output: Any = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    undo_of: int | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """The record of one executed plan. May exist without an incident."""

    id: str
    incident: str | None
    plan: Plan
    principal: Principal
    decision: Decision
    status: FixStatus
    started_at: datetime
    deadline: datetime
    before: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    neighbours: Mapping[str, str] = field(default_factory=dict[str, str])
    """Health of the neighbours before: none may be worse after."""
    steps: tuple[StepRecord, ...] = ()
    undo: tuple[StepRecord, ...] = ()
    verdict: Verdict | None = None
    executed_at: datetime | None = None
    finished_at: datetime | None = None
    approved_by: str = ""
    stopped: Stop | None = None
    """By whom it was stopped before it was through."""
    archived: Said | None = None
    """By whom it was put away: lists leave it out."""

    def with_step(self, record: StepRecord, *, undo: bool = False) -> "Fix":
        """The same fix with this record in the place of the one with its index, or appended."""
        records = list(self.undo if undo else self.steps)
        for position, known in enumerate(records):
            if known.index == record.index:
                records[position] = record
                break
        else:
            records.append(record)
        return replace(self, undo=tuple(records)) if undo else replace(self, steps=tuple(records))

    def step(self, index: int, *, undo: bool = False) -> StepRecord | None:
        return next((r for r in (self.undo if undo else self.steps) if r.index == index), None)

    @property
    def said(self) -> str:
        """How it ended, or how far it is, in a word or two: the same wherever a person reads of it."""
        return self.verdict.said if self.verdict else self.status

    @property
    def untouched(self) -> bool:
        """Whether it ended before it did anything."""
        return all(record.status in ("refused", "skipped") for record in self.steps)

    @property
    def broke_off(self) -> str:
        """Which step failed or was refused, after which others, and why; empty where all of it was done."""
        ended = next((record for record in self.steps if record.status in ("failed", "refused")), None)
        if ended is None:
            return ""
        did = "failed" if ended.status == "failed" else "was refused"
        done = [record.tool for record in self.steps if record.status == "done"]
        return f"{ended.tool} {did}{' after ' * bool(done)}{', '.join(done)}: {ended.error}"

    @property
    def half_done(self) -> bool:
        """Whether it broke off after something was done: nobody has planned such a half."""
        return bool(self.broke_off) and any(record.status == "done" for record in self.steps)

    @property
    def standing(self) -> tuple[str, ...]:
        """What could not be taken back, and why: it stands."""
        return tuple(
            f"{record.tool.removeprefix('undo ')} stands: {record.error}"
            for record in self.undo
            if record.status in ("failed", "refused", "skipped", "unknown")
        )


@dataclass(frozen=True, slots=True)
class Incident:
    """Alerts that belong together, with a root. Values only: each change gives a new one."""

    id: str
    title: str
    root: str
    resources: tuple[str, ...]
    opened_at: datetime
    status: IncidentStatus = "open"
    outcome: IncidentOutcome | None = None
    closed_at: datetime | None = None
    diagnosis: Diagnosis | None = None
    fixes: tuple[str, ...] = ()
    open_fix: str | None = None
    tried: tuple[str, ...] = ()
    """Keys of the plans that were tried here; none is tried twice."""
    hindered: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By key of a plan of which a step failed, ids of the alerts of other faults that fired meanwhile: it may be tried
    once more when these are over, and nothing harsher before. Empty once they are."""
    refused: tuple[str, ...] = ()
    """Keys of the plans that policy denied or a person rejected."""
    refusals: Mapping[str, str] = field(default_factory=dict[str, str])
    """By key of a refused plan, who or what refused it, in a few words."""
    approval: str | None = None
    reason: str = ""
    reopened: int = 0
    reopened_at: datetime | None = None
    well_seconds: float = 0.0
    """From each end to its return."""
    cured: str | None = None
    """The fix that was proven to have healed the root, while something else still alerted."""
    merged_into: str | None = None
    """The incident whose root explains this one, which goes on there."""
    others: tuple[str, ...] = ()
    """Roots besides `root`: what was proven to be healed here before, and what fires now and it does not explain."""
    mended: tuple[str, ...] = ()
    """Roots that were proven to be healed, in the order of it."""
    absorbed: tuple[str, ...] = ()
    """Incidents that turned out to be part of this one; their histories stay theirs."""
    acknowledged: Said | None = None
    """Who looks after it."""
    hold: Hold | None = None
    """What keeps the hands still; over when its time is, and as soon as something else is the reason."""
    left: Said | None = None
    """Who has taken it over: the loop begins nothing here until it is told to try again."""
    to_do: str = ""
    """What a person should do next, once it is theirs."""
    handed: bool = False
    """A person was told that it is theirs, and since then nothing was done about it and nothing graver came."""
    rests: Mapping[str, str] | None = None
    """What it rested on when it was handed to a person: where that is changed, it is looked at again."""
    joins: int = 0
    """How often something new fired while a person had it."""
    closing: Said | None = None
    """Who has ended it by hand while a fix was at work: it is closed as soon as that is over."""

    def __post_init__(self) -> None:
        """What is left to people is never taken up, whatever was under way when they said so."""
        if self.left is not None and self.status in ("open", "diagnosing"):
            object.__setattr__(self, "status", "escalated")

    @property
    def active(self) -> bool:
        return self.status not in ("closed", "escalated")

    @property
    def said(self) -> str:
        """How it ended, or how far it is, in a few words: the same wherever a person reads of it."""
        word = self.outcome or self.status
        return WORDS.get(word, word)

    def held(self, at: datetime) -> Hold | None:
        """What keeps the hands still here, and until when."""
        if self.hold is None or self.status not in ("open", "diagnosing"):
            return None
        return self.hold if self.hold.reason == self.reason and at < self.hold.until else None

    def diagnosed(self, diagnosis: Diagnosis) -> "Incident":
        others = dict.fromkeys((*self.mended, *diagnosis.others))
        others.pop(diagnosis.root, None)
        return replace(self, status="diagnosing", diagnosis=diagnosis, root=diagnosis.root, others=tuple(others))

    @property
    def roots(self) -> tuple[str, ...]:
        """All of its roots, in the order in which they were healed; several faults at once may have one incident."""
        return tuple(dict.fromkeys((*self.mended, self.root, *self.others)))

    def touching(self, *resources: str) -> "Incident":
        return replace(self, resources=tuple(dict.fromkeys((*self.resources, *resources))))

    def close(self, outcome: IncidentOutcome, at: datetime, reason: str = "") -> "Incident":
        return replace(
            self,
            status="closed",
            outcome=outcome,
            closed_at=at,
            reason=reason,
            approval=None,
            open_fix=None,
            closing=None,
        )

    def close_later(self, said: Said) -> "Incident":
        """As soon as the fix that is at work is over."""
        return replace(self, closing=said, approval=None)

    @property
    def waits_for(self) -> str | None:
        """What people have said that holds once the fix at work is over: it begins no further step meanwhile."""
        if self.open_fix is None or (said := self.closing or self.left) is None:
            return None
        does = "it is closed" if self.closing else "it is left to people"
        return f"{self.open_fix} is at work: once the step that was begun has ended, {does}, by {said.told}"

    def escalate(self, reason: str, to_do: str = "") -> "Incident":
        return replace(self, status="escalated", reason=reason, to_do=to_do, approval=None, open_fix=None, handed=True)

    def look_again(self, *, new: bool, graver: bool) -> "Incident":
        """It is with a person, and an alert fires: of a rule or on a resource that is new to it, or graver than any.
        What they have taken over stays with them."""
        return replace(self, status="open", cured=None, joins=self.joins + new, handed=not graver)

    def acknowledge(self, said: Said) -> "Incident":
        return replace(self, acknowledged=said)

    def leave(self, said: Said) -> "Incident":
        """To people: at once, or as soon as the fix that is at work is over."""
        left = replace(self, left=said, closing=None, approval=None)
        return left if self.open_fix else left.escalate(f"left to people by {said.told}")

    def retry(self) -> "Incident":
        """It is the loop's again, and what failed or was refused may be tried again."""
        return replace(self.anew(), status="open", approval=None, left=None, reason="")

    def took_back(self, plan: Plan, reason: str) -> "Incident":
        """A person took back what a plan did: should it come back, that plan is not begun again."""
        refused = tuple(dict.fromkeys((*self.refused, plan.key)))
        return replace(self, refused=refused, refusals={**self.refusals, plan.key: reason})

    def wait_for_approval(self, approval: str, by: Principal) -> "Incident":
        """Raises LeftToPeople where the loop asks and people have taken it over."""
        if self.left is not None and by == LOOP:
            raise LeftToPeople(f"{self.id} is left to people.")
        return replace(self, status="awaiting_approval", approval=approval, handed=False)

    def refuse(self, plan: Plan, reason: str) -> "Incident":
        refusals = {**self.refusals, plan.key: reason}
        refused = (*self.refused, plan.key)
        return replace(self, status="open", approval=None, refused=refused, refusals=refusals, reason=reason)

    def fixing(self, fix: Fix) -> "Incident":
        """Raises LeftToPeople where it is over, or people have taken it over and not asked for this."""
        if self.status == "closed" or (self.left is not None and self.approval is None):
            raise LeftToPeople(f"{self.id} is left to people.")
        return replace(
            self,
            status="fixing",
            approval=None,
            open_fix=fix.id,
            cured=None,
            handed=False,
            fixes=(*self.fixes, fix.id) if fix.id not in self.fixes else self.fixes,
            tried=(*self.tried, fix.plan.key),
        )

    def because(self, reason: str, until: datetime | None = None) -> "Incident":
        return replace(self, reason=reason, hold=Hold(until, reason) if until else None)

    def forgetting_refusals(self) -> "Incident":
        """As if nobody had refused anything: what a person may still ask for."""
        return replace(self, refused=(), refusals={})

    def anew(self) -> "Incident":
        """As if nothing had been tried, either: a person may ask for it again."""
        return replace(self.forgetting_refusals(), tried=(), hindered={}, handed=False)

    def unasked(self) -> "Incident":
        return replace(self, status="open", approval=None)

    def not_tried(self, fix: Fix) -> "Incident":
        """The fix was stopped before it did anything."""
        tried = tuple(key for key in self.tried if key != fix.plan.key)
        return replace(self, status="open", open_fix=None, tried=tried)

    def hinders(self, fix: Fix, alerts: Sequence[str]) -> "Incident":
        """A step of the fix failed while these fired: its plan counts as tried only until they are over, once."""
        if fix.plan.key in self.hindered or not alerts:
            return self
        return replace(self, hindered={**self.hindered, fix.plan.key: tuple(alerts)})

    def released(self, firing: Container[str]) -> "Incident":
        """With what was hindered by what fires no more to be tried again; itself where there is none."""
        over = [key for key, by in self.hindered.items() if by and not any(alert in firing for alert in by)]
        if not over:
            return self
        status: IncidentStatus = "open" if self.status == "escalated" and self.left is None else self.status
        tried = tuple(key for key in self.tried if key not in over)
        return replace(self, status=status, tried=tried, hindered={**self.hindered, **dict.fromkeys(over, ())})

    def going_on(self, fix: Fix, reason: str) -> "Incident":
        """The fix is over and has healed, the incident is not."""
        mended = tuple(dict.fromkeys((*self.mended, *fix.plan.resources[:1])))
        return replace(self, status="open", open_fix=None, cured=fix.id, reason=reason, mended=mended)

    def verifying(self) -> "Incident":
        return replace(self, status="verifying")

    def judged(self, fix: Fix, verdict: Verdict, at: datetime, to_do: str = "") -> "Incident":
        """healed closes, inconclusive escalates (no blind undo), not_healed goes on to the next plan; so does what was
        not tried, and what another fault hindered, which goes first now."""
        done = replace(self, open_fix=None)
        reason = "; ".join((*verdict.reasons, *fix.standing))
        if verdict.outcome == "not_tried":
            return done.not_tried(fix).refuse(fix.plan, reason)
        if verdict.outcome == "healed":
            again = tuple(key for key in self.tried if key != fix.plan.key)
            tried = again if self.reopened < LASTS else self.tried
            wanted = tuple(key for key in self.refused if key != fix.plan.key)  # who refused it has asked for it since
            return replace(done, tried=tried, refused=wanted).close("healed", at, reason)
        if verdict.recovered:
            return done.close("recovered", at, reason)
        if verdict.outcome == "inconclusive" and not verdict.hindered:
            how = "was not carried out to its end" if fix.broke_off else "was carried out"
            carried = f"{fix.plan.author} {how}, but nothing can tell whether it helped: {reason}"
            return done.escalate(reason if fix.stopped else carried, to_do)
        return replace(done, status="open", reason=reason)

    def merge(self, into: str, at: datetime, reason: str) -> "Incident":
        """Over as an incident of its own."""
        return replace(self.close("merged", at, reason), merged_into=into)

    def absorb(self, other: "Incident") -> "Incident":
        """What was tried and refused there is not begun again here."""
        return replace(
            self.touching(*other.resources),
            absorbed=tuple(dict.fromkeys((*self.absorbed, other.id, *other.absorbed))),
            tried=tuple(dict.fromkeys((*self.tried, *other.tried))),
            hindered={**other.hindered, **self.hindered},
            refused=tuple(dict.fromkeys((*self.refused, *other.refused))),
            refusals={**other.refusals, **self.refusals},
            mended=tuple(dict.fromkeys((*self.mended, *other.mended))),
        )

    def present(self, alerts: Iterable["Alert"]) -> "list[Alert]":
        """Those of its alerts that are not over since before it came back."""
        back = self.reopened_at
        return [one for one in alerts if back is None or one.resolved_at is None or one.resolved_at > back]

    def reopen(self, at: datetime) -> "Incident":
        well = (at - self.closed_at).total_seconds() if self.closed_at else 0.0
        return replace(
            self,
            status="open",
            outcome=None,
            closed_at=None,
            cured=None,
            reason=f"left to people by {self.left.told}" if self.left else "",
            reopened=self.reopened + 1,
            reopened_at=at,
            well_seconds=self.well_seconds + max(0.0, well),
            acknowledged=None,
            handed=False,
        )
