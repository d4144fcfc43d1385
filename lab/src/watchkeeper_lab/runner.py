"""Runs one scenario against a running Watchkeeper and says what came of it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from watchkeeper_lab.api import Fix, Incident, Watchkeeper
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.narrate import Narrator
from watchkeeper_lab.oracle import Judgement
from watchkeeper_lab.row import Observed, Row, make_row
from watchkeeper_lab.scenario import Scenario
from watchkeeper_lab.survivors import SURVIVORS

POLL_SECONDS = 0.2
"""Each look costs the Watchkeeper a few requests, on a machine that the lab shares with it."""
DEADLINE_SECONDS = 120.0
"""How long an incident may take to be closed or escalated."""
SHORTEST_CONTROL = 30.0
GRACE_SECONDS = 10.0
QUIET_SECONDS = 60.0
"""How long Watchkeeper may take to see that the lab is well, before anything is injected."""
SUBSIDES_SECONDS = 60.0
"""How long an incident that was handed to a person may stay open once its fault was taken back."""
BASELINE_SECONDS = 60.0
"""How long a contender that is none of ours may take; it does not look whether it helped, so it is through sooner."""


Tell = Callable[[float, str], None]
"""Told what happens: seconds since the fault was in effect, and a line."""


class Followed(Protocol):
    """Whoever acts, followed until it is through, and what it then did."""

    async def until_ended(self, seconds: float) -> None:
        """Return as soon as it is through, or after so many seconds."""
        ...

    async def for_seconds(self, seconds: float) -> None:
        """Follow it for so many seconds."""
        ...

    async def look(self) -> tuple[list[Incident], list[Fix]]:
        """What it noticed and did."""
        ...


Follow = Callable[[Watchkeeper, float], Followed]
"""Given eyes (a Watchkeeper that acts or not) and the Unix time from which it counts."""


def silent(_: float, __: str) -> None:
    """Tell nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its row, and the oracle's judgement before the fault, in it (without an audit), and at the end."""

    row: Row
    before: Judgement
    broken: Judgement | None
    after: Judgement


async def run_scenario(
    lab: Lab, scenario: Scenario, base_url: str, *, planner: str = "runbooks", run: int = 1, tell: Tell = silent
) -> Row:
    """Reset the lab, inject the fault, wait until Watchkeeper is through with it, and judge. See `play`."""
    return (await play(lab, scenario, base_url, planner=planner, run=run, tell=tell)).row


async def play(
    lab: Lab,
    scenario: Scenario,
    base_url: str,
    *,
    planner: str = "runbooks",
    run: int = 1,
    deadline: float = DEADLINE_SECONDS,
    control_seconds: float | None = None,
    look_at_fault: bool = False,
    tell: Tell = silent,
    follow: Follow | None = None,
) -> Run:
    """Run a scenario against the Watchkeeper at `base_url`, and keep what the oracle said along the way.

    `deadline` and `control_seconds` (how long a control is watched; by default three times the slowest acting
    rule's `for`, at least 30) are in seconds. `look_at_fault` asks the oracle right after the fault too, which costs a
    little time of the machine. `follow` is how whoever acts is followed where that is not the Watchkeeper itself. The
    lab is healthy again afterwards. Raises `LabError` where it or Watchkeeper is not fit to begin.
    """
    async with Watchkeeper(base_url, lab.compose_project, lab.instance.by_port) as server:
        before = await lab.ready()
        await until_quiet(server)
        known = {mark(one) for one in [*await server.incidents(), *await server.fixes()]}
        began = time.time()
        try:
            for survivor in scenario.survives:
                await SURVIVORS[survivor](lab.instance, lab.background)
            in_effect_at = await lab.inject(scenario.name)
            narrator = Narrator(lambda line: tell(time.time() - in_effect_at, line))
            watched = (
                follow(server, began)
                if follow
                else Watched(
                    server, known, began, narrator, expected=1 if scenario.one_incident else len(scenario.roots)
                )
            )
            look = look_at_fault or scenario.is_control
            looking = asyncio.create_task(lab.oracle.judge(with_audit=False)) if look else None
            if scenario.is_control:
                length = await control_length(server, scenario) if control_seconds is None else control_seconds
                await watched.for_seconds(length - (time.time() - in_effect_at))
            else:
                await watched.until_ended(deadline - (time.time() - in_effect_at))
            ended_at = time.time()
            after = await lab.oracle.judge()
            if follow and not scenario.is_control:
                after = await _in_time(lab, after)
            faltered = await _faltered(lab, scenario, began)
            requests = lab.ledger.requests(began, ended_at)
            incidents, fixes = await watched.look()
            resources = await server.resources()
            broken = await looking if looking else None
        finally:
            restored = await asyncio.shield(lab.reset())
        if scenario.expect == "escalated" and follow is None:
            faltered = [*faltered, *await _left_open(server, known)]
        lost = len(after.audit.lost) if after.audit is not None else len(restored.lost)
        expected, reasons = as_expected(scenario, after, broken, faltered)
        seen = Observed(
            in_effect_at, ended_at, incidents, fixes, resources, after.healthy, expected, reasons, lost, requests
        )
        return Run(make_row(scenario, seen, planner=planner, run=run), before, broken, after)


async def _faltered(lab: Lab, scenario: Scenario, since: float) -> Sequence[str]:
    """What was to survive and did not, but by the fault itself."""
    faltered = lab.background.faltered(scenario.survives)
    if faltered and scenario.unless_logged:
        logged = await lab.services.log(scenario.roots[0].service, since)
        return () if scenario.unless_logged in logged else faltered
    return faltered


async def _left_open(server: Watchkeeper, known: set[tuple[object, ...]]) -> list[str]:
    """New incidents that are not over by themselves some time after what they were about is."""
    deadline = time.monotonic() + SUBSIDES_SECONDS
    while True:
        left = [one for one in await server.incidents() if mark(one) not in known and one.status != "closed"]
        if not left or time.monotonic() > deadline:
            return [f"incident {one.id} is {one.status} still, though the fault is over" for one in left]
        await asyncio.sleep(POLL_SECONDS)


async def _in_time(lab: Lab, seen: Judgement) -> Judgement:
    """The oracle's word where it is well now, or becomes so within `GRACE_SECONDS`: who does not verify may be right
    a little later."""
    deadline = time.monotonic() + GRACE_SECONDS
    while not seen.healthy and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        seen = await lab.oracle.judge()
    return seen


def as_expected(
    scenario: Scenario, after: Judgement, begun: Judgement | None, faltered: Sequence[str] = ()
) -> tuple[bool, tuple[str, ...]]:
    """Whether the lab is as it ought to be at the end, and what is not.

    What was stopped on purpose ought to be stopped still; where everything is to be healed, everything ought to be
    healthy; a fault that is to be escalated is there still. After a control, what the oracle measured when it had
    `begun` must be unchanged where only an action could have changed it. What was to survive must have (`faltered`).
    """
    wrong: list[str] = [*faltered]
    for service in scenario.ends:
        if (now := after.untouched.get(f"{service} runs", "gone")) != "exited":
            wrong.append(f"{service} was stopped on purpose and is now {now}")
    if scenario.expect != "escalated" and not scenario.ends:
        wrong += after.reasons
    if scenario.is_control and begun is not None:
        for fact in sorted(begun.untouched.keys() & after.untouched.keys()):
            if begun.untouched[fact] != after.untouched[fact]:
                was, now = begun.untouched[fact], after.untouched[fact]
                wrong.append(f"{fact} changed from {was} to {now} in a control")
    return not wrong, tuple(wrong)


async def control_length(server: Watchkeeper, scenario: Scenario) -> float:
    """Three times the slowest rule's `for`, at least 30 s, and longer where the scenario says so."""
    return max(SHORTEST_CONTROL, 3 * (await server.slowest_for() or 0.0), scenario.seconds)


async def until_quiet(server: Watchkeeper) -> None:
    """Wait until Watchkeeper sees every resource of the lab healthy and has nothing open on it, nor anything that a
    person was called for: it closes by itself then, and would be taken for what is about to be broken."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        health = await server.health()
        unwell = [f"{name} is {state}" for name, state in health.items() if state.upper() != "HEALTHY"]
        unwell += [f"incident {one.id} is {one.status}" for one in await server.incidents() if one.status != "closed"]
        if health and not unwell:
            return
        if time.monotonic() > deadline:
            why = unwell[0] if unwell else "it watches none of the lab's resources"
            raise LabError(
                f"Watchkeeper did not see the healthy lab as healthy within {QUIET_SECONDS:.0f} s: {why}.",
                "See `watchkeeper status` and `watchkeeper incidents`.",
            )
        await asyncio.sleep(POLL_SECONDS)


def mark(one: Incident | Fix) -> tuple[object, ...]:
    """What changes about an incident when it is reopened, and never about a fix."""
    return (one.id, one.ended, one.closed_at) if isinstance(one, Incident) else (one.id,)


class Watched:
    """Incidents and fixes that are new, or reopened, since `known` was written down at `since` (Unix time).

    `expected`: how many roots there must be before it can be over: of several faults one may be healed before the
    next is noticed.
    """

    def __init__(
        self,
        server: Watchkeeper,
        known: set[tuple[object, ...]],
        since: float,
        narrator: Narrator,
        *,
        expected: int = 1,
    ) -> None:
        self._server = server
        self._expected = expected
        self._known = known
        self._since = since
        self._narrator = narrator

    async def look(self) -> tuple[list[Incident], list[Fix]]:
        """What is new, incidents by when they first fired, and tell it."""
        incidents = [self._lately(one) for one in await self._server.incidents() if mark(one) not in self._known]
        incidents.sort(key=lambda one: min((alert.firing_at or one.opened_at for alert in one.alerts), default=0.0))
        fixes = [one for one in await self._server.fixes() if mark(one) not in self._known]
        self._narrator.look(incidents, fixes)
        return incidents, fixes

    def _lately(self, incident: Incident) -> Incident:
        """Without the alerts it had before, where it was reopened."""
        new = [alert for alert in incident.alerts if alert.firing_at is None or alert.firing_at >= self._since]
        return replace(incident, alerts=tuple(new))

    async def until_ended(self, seconds: float) -> None:
        """Return as soon as every new incident has ended and as many roots as are expected were theirs, or after so
        many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            incidents, _ = await self.look()
            roots = {root for one in incidents for root in one.roots}
            if incidents and len(roots) >= self._expected and all(one.ended for one in incidents):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def for_seconds(self, seconds: float) -> None:
        """Keep looking for so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await self.look()
            await asyncio.sleep(POLL_SECONDS)
