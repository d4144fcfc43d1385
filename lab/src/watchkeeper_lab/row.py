"""One row of the benchmark: what a run of a scenario came to. Pure arithmetic over what was observed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from watchkeeper_lab.api import Fix, Incident, Resource, Step
from watchkeeper_lab.ledger import Requests
from watchkeeper_lab.scenario import Root, Scenario

CARRIERS = frozenset({"container", "service"})
"""Kinds of what a service runs in: where the lab runs plain processes, `container` in a scenario means the process."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the time went, in seconds; 0 for what did not come about.

    `detect`: fault in effect → first alert firing; `decide`: → the first fix planned; `act`: its and all later steps,
    summed; `verify`: end of the last step → last fix finished; `total`: fault in effect → incident closed, or as long
    as was waited.
    """

    detect: float = 0.0
    decide: float = 0.0
    act: float = 0.0
    verify: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a language model took in a run: requests, tokens in and out, US dollars (`unpriced`: requests of which no
    price is known, which count as free), its own seconds, and how often an answer was sent back. `prompt`: tokens of
    the largest request with which a plan was first asked for. `prices`: where they are from, and of when."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0
    sent_back: int = 0
    prompt: int = 0
    prices: tuple[str, ...] = ()


SUMMED = ("calls", "tokens_in", "tokens_out", "dollars", "unpriced", "seconds", "sent_back")
"""What a model took in several runs is that of each, summed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one scenario.

    For a control, `detected`, `root_correct`, `tool_correct` and `healed` all mean that it was rightly left alone;
    for a fault whose right answer is to escalate, `healed` means that it was escalated.
    `retries` counts steps that repeat a tool on the same resource; `needless_actions` counts executed steps with a tool
    that the scenario does not accept, and every action on a control; `falsely_healed` means the verdict says healed and
    the oracle does not agree; `downtime_seconds` is the longest stretch in which no visitor got an answer.
    """

    name: str
    kind: Literal["fault", "control"]
    planner: str
    run: int
    detected: bool
    root_correct: bool
    tool_correct: bool
    healed: bool
    falsely_healed: bool
    verdict: str
    final_health: Literal["healthy", "unhealthy"]
    actions: int
    needless_actions: int
    retries: int
    data_lost: int
    requests: int
    requests_failed: int
    downtime_seconds: float
    seconds: Seconds
    tools: tuple[str, ...]
    reasons: tuple[str, ...]
    thinking: Thinking = Thinking()

    @property
    def right(self) -> bool:
        """Whether everything about this run is as it should be."""
        good = self.detected and self.root_correct and self.tool_correct and self.healed
        return good and not (self.falsely_healed or self.needless_actions or self.data_lost)

    def as_json(self) -> dict[str, Any]:
        """The row as in the benchmark's JSON."""
        return asdict(self) | {"right": self.right}


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen in one run: incidents and fixes that are new since before the fault, and the oracle's word.

    `as_expected` is True where the oracle finds the lab as it ought to be at the end: healthy, or for something stopped
    on purpose, just as it was left. Times are Unix times.
    """

    in_effect_at: float
    ended_at: float
    incidents: Sequence[Incident]
    fixes: Sequence[Fix]
    resources: Mapping[str, Resource]
    healthy: bool
    as_expected: bool
    reasons: tuple[str, ...]
    data_lost: int
    requests: Requests


def make_row(scenario: Scenario, seen: Observed, *, planner: str, run: int) -> Row:
    """Judge one run."""
    steps = [step for fix in seen.fixes for step in fix.steps if step.acted]
    tools = [step.tool for step in steps]
    verdict = _verdict(scenario, seen, steps)
    if scenario.is_control:
        left_alone = not steps
        detected = root = tool = left_alone
        healed = left_alone and seen.as_expected
        needless = len(steps)
    else:
        detected = any(alert.firing_at for incident in seen.incidents for alert in incident.alerts)
        root = _root_correct(scenario, seen)
        tool = (bool(tools) or scenario.expect == "escalated") and scenario.accepted_tools.issuperset(tools)
        healed = verdict == scenario.expect and seen.as_expected
        needless = sum(name not in scenario.accepted_tools for name in tools)
    return Row(
        name=scenario.name,
        kind=scenario.kind,
        planner=planner,
        run=run,
        detected=detected,
        root_correct=root,
        tool_correct=tool,
        healed=healed,
        falsely_healed=verdict == "healed" and not (seen.as_expected and seen.healthy),
        verdict=verdict,
        final_health="healthy" if seen.healthy else "unhealthy",
        actions=len(steps),
        needless_actions=needless,
        retries=len(steps) - len({(step.tool, step.resource) for step in steps}),
        data_lost=seen.data_lost,
        requests=seen.requests.total,
        requests_failed=seen.requests.failed,
        downtime_seconds=round(seen.requests.downtime, 3),
        seconds=_seconds(seen),
        tools=tuple(tools),
        reasons=seen.reasons,
    )


def _verdict(scenario: Scenario, seen: Observed, steps: Sequence[Step]) -> str:
    """What Watchkeeper itself says: an incident's outcome or status, or for a control whether it acted."""
    if scenario.is_control:
        return "acted" if steps else "no_action"
    if not seen.incidents:
        return "undetected"
    outcomes = [incident.outcome if incident.status == "closed" else incident.status for incident in seen.incidents]
    unhealed = [outcome for outcome in outcomes if outcome != "healed"]
    return unhealed[0] if unhealed else "healed"


def _root_correct(scenario: Scenario, seen: Observed) -> bool:
    """Of one fault, the root of the first incident, and in a cascade there is no other; of several at once, each root
    is that of an incident, and no incident has another."""
    named = [
        seen.resources[one] for incident in seen.incidents for one in sorted(incident.roots) if one in seen.resources
    ]
    if len(scenario.roots) == 1:
        first = seen.resources.get(seen.incidents[0].root) if seen.incidents else None
        alone = len(seen.incidents) == 1 or not scenario.one_incident
        named = all(word.lower() in seen.incidents[0].cause.lower() for word in scenario.names) if first else False
        return alone and named and first is not None and _is(first, scenario.roots[0])
    if scenario.one_incident and len(seen.incidents) != 1:
        return False
    found = all(any(_is(one, root) for one in named) for root in scenario.roots)
    return found and all(any(_is(one, root) for root in scenario.roots) for one in named)


def _is(resource: Resource, root: Root) -> bool:
    """Whether this resource is that root, or for a service of several replicas one of them."""
    service = resource.service == root.service or resource.service.startswith(f"{root.service}-")
    return service and (resource.kind == root.kind or {resource.kind, root.kind} <= CARRIERS)


def _seconds(seen: Observed) -> Seconds:
    fired = [alert.firing_at for one in seen.incidents for alert in one.alerts if alert.firing_at is not None]
    planned = [fix.planned_at for fix in seen.fixes if fix.planned_at is not None]
    steps = [step for fix in seen.fixes for step in fix.steps]
    closed = [one.closed_at for one in seen.incidents]
    all_closed = bool(closed) and all(moment is not None for moment in closed)
    end = max((moment for moment in closed if moment is not None), default=0.0) if all_closed else seen.ended_at
    act = sum(step.finished_at - step.started_at for step in steps if step.finished_at and step.started_at)
    last = seen.fixes[-1] if seen.fixes else None
    done = max((step.finished_at for step in last.steps if step.finished_at), default=0.0) if last else 0.0
    return Seconds(
        detect=_span(seen.in_effect_at, min(fired, default=None)),
        decide=_span(min(fired, default=None), min(planned, default=None)),
        act=round(act, 3),
        verify=_span(done or None, last.finished_at if last else None),
        total=_span(seen.in_effect_at, end),
    )


def _span(begin: float | None, end: float | None) -> float:
    """Seconds from one moment to another; 0 where either is missing or they are out of order."""
    return 0.0 if begin is None or end is None else round(max(0.0, end - begin), 3)


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts over all runs, and median and worst seconds over the faults that were healed."""
    faults = [row for row in rows if row.kind == "fault"]
    controls = [row for row in rows if row.kind == "control"]
    healed = [row for row in faults if row.healed]
    parts = ("detect", "decide", "act", "verify", "total")
    spans = {part: [float(getattr(row.seconds, part)) for row in healed] for part in parts}
    return {
        "faults": len(faults),
        "faults_detected": sum(row.detected for row in faults),
        "faults_root_correct": sum(row.root_correct for row in faults),
        "faults_tool_correct": sum(row.tool_correct for row in faults),
        "faults_healed": len(healed),
        "controls": len(controls),
        "controls_left_alone": sum(row.healed for row in controls),
        "falsely_healed": sum(row.falsely_healed for row in rows),
        "needless_actions": sum(row.needless_actions for row in rows),
        "retries": sum(row.retries for row in rows),
        "data_lost": sum(row.data_lost for row in rows),
        "requests": sum(row.requests for row in rows),
        "requests_failed": sum(row.requests_failed for row in rows),
        "thinking": {name: round(sum(getattr(row.thinking, name) for row in rows), 4) for name in SUMMED}
        | {
            "prompt": max((row.thinking.prompt for row in rows), default=0),
            "prices": sorted({price for row in rows for price in row.thinking.prices}),
        },
        "median_seconds": {part: round(median(values), 3) if values else 0.0 for part, values in spans.items()},
        "worst_seconds": {part: max(values, default=0.0) for part, values in spans.items()},
    }
