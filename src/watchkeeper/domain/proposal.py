"""What it would have done, and what happened instead: the score it keeps where it may not act."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from watchkeeper.domain.plan import Plan
from watchkeeper.domain.policy import Decision

Held = Literal["observe", "unanswered"]
Ending = Literal["same", "other", "recovered", "gone", "unwell"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that was ready and was not carried out: in mode observe, or because nobody answered.

    `policy` is what policy says of it in mode auto. `healed_before` of `tried_before`: how often this plan healed a
    resource of this kind here. `takes_seconds`: what it took then (median), or else how long its results may take to
    show. What then happened is filled in when the incident ends: `same` (a person did it), `other` (a person changed
    something else), `recovered` (no change was seen), `gone`; `unwell` until then.
    """

    id: str
    incident: str
    plan: Plan
    held: Held
    policy: Decision
    decided_at: datetime
    after_seconds: float
    """From the first sign to the plan."""
    then: tuple[Plan, ...] = ()
    """What would have come next, had that not helped."""
    episode: int = 0
    """How often the incident had come back."""
    healed_before: int = 0
    tried_before: int = 0
    takes_seconds: float = 0.0
    status: Literal["open", "ended"] = "open"
    ending: Ending = "unwell"
    ended_at: datetime | None = None
    """When the last alert was over."""
    what: str = ""
    """What then happened, in words."""

    @property
    def seconds(self) -> float | None:
        """From the plan to the end; None while it is not over."""
        return (self.ended_at - self.decided_at).total_seconds() if self.ended_at else None

    @property
    def needless(self) -> bool:
        """It was well again, without a change to be seen, before the plan would have been through."""
        return self.ending == "recovered" and self.seconds is not None and self.seconds <= self.takes_seconds

    @property
    def history(self) -> str:
        """What is known of its likely result.

        Never a probability: only what was counted here.
        """
        if not self.tried_before:
            return "never tried here on this kind of resource"
        return f"healed {self.healed_before} of {self.tried_before} times here on this kind of resource"

    def end(self, ending: Ending, at: datetime, what: str) -> "Proposal":
        return replace(self, status="ended", ending=ending, ended_at=at, what=what)


@dataclass(frozen=True, slots=True)
class Score:
    """Proposals counted. `saved_seconds` is an upper bound: from each plan to the end that came without it, as if it
    had healed at once, for those that did not recover by themselves."""

    proposals: int
    same: int
    other: int
    recovered: int
    needless: int
    gone: int
    unwell: int
    saved_seconds: float
    allowed: int
    """Policy would have allowed so many in mode auto."""
    asked: int
    denied: int


def score(proposals: Sequence[Proposal], at: datetime) -> Score:
    """Each incident counts once each time it came, by its first proposal."""
    first: dict[tuple[str, int], Proposal] = {}
    for proposal in sorted(proposals, key=lambda known: known.decided_at):
        first.setdefault((proposal.incident, proposal.episode), proposal)
    counted = list(first.values())
    endings = [proposal.ending for proposal in counted]
    words = [proposal.policy.outcome for proposal in counted]
    waited = [p for p in counted if p.ending in ("same", "other", "unwell") and p.policy.outcome != "deny"]
    return Score(
        proposals=len(counted),
        same=endings.count("same"),
        other=endings.count("other"),
        recovered=endings.count("recovered"),
        needless=sum(proposal.needless for proposal in counted),
        gone=endings.count("gone"),
        unwell=endings.count("unwell"),
        saved_seconds=sum(max(0.0, ((p.ended_at or at) - p.decided_at).total_seconds()) for p in waited),
        allowed=words.count("allow"),
        asked=words.count("ask"),
        denied=words.count("deny"),
    )


def same(plan: Plan, setting: str, before: str, after: str) -> bool:
    """Whether a change of a setting is what the plan would have done: the same setting in the same direction, or a
    start where it would have started something."""
    for step in plan.steps:
        if setting == "started":
            if step.tool.endswith(("_start", "_restart")):
                return True
            continue
        if setting not in step.arguments and not step.tool.endswith(setting.replace("-", "_")):
            continue
        wanted = [value for name, value in step.arguments.items() if name in (setting, "value")]
        if not wanted or _direction(before, wanted[0]) == _direction(before, after):
            return True
    return False


def _direction(before: object, after: object) -> float:
    try:
        return (float(str(after)) > float(str(before))) - (float(str(after)) < float(str(before)))
    except ValueError:
        return 0.0 if str(before) == str(after) else 1.0
