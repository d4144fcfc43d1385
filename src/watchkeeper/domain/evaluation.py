"""How well it did: what was counted and timed of incidents and fixes, by whatever one wants to know it. Pure."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from watchkeeper.domain.incident import Fix, Incident
from watchkeeper.domain.rule import Alert

Bucket = Literal["day", "week"]
Span = Literal["detect", "decide", "wait", "act", "verify", "repair"]
SPANS: tuple[Span, ...] = ("detect", "decide", "wait", "act", "verify", "repair")
FEW = 10
"""Below so many nothing is said of a rate or of a 90th percentile: one more or less would move it by a tenth."""
_Z = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Rate:
    """`healed` of `tried`. `rate` is None where there are too few; `low` to `high` is Wilson's 95 % interval (1927)."""

    healed: int
    tried: int
    rate: float | None
    low: float
    high: float
    said: str


def rate(healed: int, tried: int) -> Rate:
    """
    >>> rate(3, 3).said
    '3 of 3: 3 fixes are no rate'
    >>> rate(18, 20).rate, round(rate(18, 20).low, 2), round(rate(18, 20).high, 2)
    (0.9, 0.7, 0.97)
    """
    if not tried:
        return Rate(0, 0, None, 0.0, 1.0, "none yet")
    share = healed / tried
    middle = (share + _Z**2 / (2 * tried)) / (1 + _Z**2 / tried)
    half = _Z / (1 + _Z**2 / tried) * math.sqrt(share * (1 - share) / tried + _Z**2 / (4 * tried**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    if tried < FEW:
        few = "1 fix is no rate" if tried == 1 else f"{tried} fixes are no rate"
        return Rate(healed, tried, None, low, high, f"{healed} of {tried}: {few}")
    said = f"{healed} of {tried}: {share:.0%} (95 %: {low:.0%} to {high:.0%})"
    return Rate(healed, tried, share, low, high, said)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, of `count` of them. `p90` is None where there are too few."""

    count: int
    median: float | None
    p90: float | None


def times(seconds: Sequence[float]) -> Times:
    """
    >>> times([1.0, 2.0, 9.0])
    Times(count=3, median=2.0, p90=None)
    """
    if not seconds:
        return Times(0, None, None)
    p90 = statistics.quantiles(seconds, n=10, method="inclusive")[8] if len(seconds) >= FEW else None
    return Times(len(seconds), round(statistics.median(seconds), 3), None if p90 is None else round(p90, 3))


@dataclass(frozen=True, slots=True)
class Case:
    """One fix that did something and was judged: what it is counted under, and how long each part took, in seconds.

    `detect`: from the first sign (the rule's condition began to hold) to the alert; when the fault itself began nobody
    knows but who caused it. `decide`: from the alert, or the fix before it, to the plan. `wait`: from the plan to the
    first step, for approval or for other fixes. `act`, `verify`: the steps, and the proof. `repair`: from the first
    sign to the proof, where it healed.
    """

    fix: Fix
    rules: tuple[str, ...]
    spans: Mapping[Span, float] = field(default_factory=dict[Span, float])

    @property
    def healed(self) -> bool:
        return self.fix.verdict is not None and self.fix.verdict.outcome == "healed"

    @property
    def tools(self) -> tuple[str, ...]:
        done = (record.tool for record in self.fix.steps if record.status in ("done", "failed", "unknown"))
        return tuple(dict.fromkeys(done))


@dataclass(frozen=True, slots=True)
class Group:
    """What is counted under one name."""

    name: str
    fixes: Rate
    seconds: Mapping[Span, Times]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`stopped` by people, `refused` before they did anything, `hindered` by another fault (because of which a step
    failed, and which is seen to first), and `taken_back` by people are no try."""

    fixes: Rate
    seconds: Mapping[Span, Times]
    incidents: Mapping[str, int]
    stopped: int
    refused: int
    hindered: int
    taken_back: int
    over_time: tuple[Group, ...]
    by: Mapping[str, tuple[Group, ...]]


def evaluate(
    incidents: Sequence[Incident], fixes: Sequence[Fix], alerts: Sequence[Alert], bucket: Bucket
) -> Evaluation:
    """Everything of these. Fixes that are not over are left out."""
    over = [fix for fix in fixes if fix.status == "closed" and fix.verdict is not None]
    acted = [fix for fix in over if _acted(fix)]
    did = {fix.id for fix in acted}
    tried = [fix for fix in acted if counts(fix)]
    found = cases(tried, alerts)
    names: dict[str, Callable[[Case], Iterable[str]]] = {
        "author": lambda case: (case.fix.plan.author,),
        "tool": lambda case: case.tools,
        "rule": lambda case: case.rules,
        "resource": lambda case: case.fix.plan.resources[:1],
        "environment": lambda case: (case.fix.plan.resources[0].split("/")[1],),
    }
    ends = [incident.outcome or incident.status for incident in incidents]
    return Evaluation(
        fixes=_rate(found),
        seconds=_seconds(found),
        incidents={end: ends.count(end) for end in sorted(set(ends))},
        stopped=sum(fix.stopped is not None for fix in over),
        refused=sum(fix.id not in did and fix.stopped is None for fix in over),
        hindered=sum(bool(fix.verdict and fix.verdict.hindered) for fix in acted),
        taken_back=sum(bool(fix.plan.undoes) for fix in acted),
        over_time=tuple(sorted(_groups(found, lambda c: (_bucket(c, bucket),)), key=lambda group: group.name)),
        by={name: _groups(found, key) for name, key in names.items()},
    )


def counts(fix: Fix) -> bool:
    """Whether how it ended tells how good its plan is: it did something and was judged, nobody stopped it, it took
    nothing back, and no step of it failed because of another fault. The same wherever a rate is told."""
    judged = fix.verdict is not None and fix.verdict.outcome != "not_tried" and not fix.verdict.hindered
    return judged and fix.stopped is None and not fix.plan.undoes and _acted(fix)


def _acted(fix: Fix) -> bool:
    return any(record.status in ("done", "failed", "unknown") for record in fix.steps)


def cases(fixes: Sequence[Fix], alerts: Sequence[Alert]) -> list[Case]:
    """Each with the rules it was for and its times."""
    known: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.incident is not None:
            known.setdefault(alert.incident, []).append(alert)
    found: list[Case] = []
    before: dict[str, Fix] = {}
    for fix in sorted(fixes, key=lambda one: one.started_at):
        mine = [a for a in known.get(fix.incident or "", ()) if a.firing_at and a.firing_at <= fix.started_at]
        last = before.get(fix.incident or "")
        found.append(Case(fix, tuple(dict.fromkeys(a.rule for a in mine)), _spans(fix, mine, last)))
        if fix.incident is not None:
            before[fix.incident] = fix
    return found


def _spans(fix: Fix, alerts: Sequence[Alert], last: Fix | None) -> dict[Span, float]:
    """What is known. Of an incident that came back, only what fired since its last fix counts."""
    ended = last.finished_at if last is not None else None
    anew = [alert for alert in alerts if ended is None or alert.pending_at >= ended]
    sign = min(anew or alerts, key=lambda alert: alert.pending_at, default=None)
    fired = sign.firing_at if sign is not None else None
    since = ended if ended is not None and not anew else fired
    steps = [record.started_at for record in fix.steps if record.started_at is not None]
    spans: dict[Span, tuple[datetime | None, datetime | None]] = {
        "detect": (sign.pending_at if sign is not None and since is fired else None, fired),
        "decide": (since, fix.plan.created_at),
        "wait": (fix.plan.created_at, min(steps, default=None)),
        "act": (min(steps, default=None), fix.executed_at),
        "verify": (fix.executed_at, fix.finished_at),
    }
    if fix.verdict is not None and fix.verdict.outcome == "healed" and sign is not None:
        spans["repair"] = (sign.pending_at, fix.finished_at)
    return {
        name: max(0.0, (end - begin).total_seconds())
        for name, (begin, end) in spans.items()
        if begin is not None and end is not None
    }


def _groups(found: Sequence[Case], key: Callable[[Case], Iterable[str]]) -> tuple[Group, ...]:
    """Those with the most fixes first."""
    named: dict[str, list[Case]] = {}
    for case in found:
        for name in key(case):
            named.setdefault(name, []).append(case)
    groups = [Group(name, _rate(mine), _seconds(mine)) for name, mine in named.items()]
    return tuple(sorted(groups, key=lambda group: (-group.fixes.tried, group.name)))


def _rate(found: Sequence[Case]) -> Rate:
    return rate(sum(case.healed for case in found), len(found))


def _seconds(found: Sequence[Case]) -> dict[Span, Times]:
    return {span: times([case.spans[span] for case in found if span in case.spans]) for span in SPANS}


def _bucket(case: Case, bucket: Bucket) -> str:
    """The day in UTC, or the Monday its week began with."""
    day = case.fix.started_at.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday() if bucket == "week" else 0)).isoformat()
