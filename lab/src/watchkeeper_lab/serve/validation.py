"""A fault from its injection to its proof, step by step, each with its time: reset, baseline, inject, detect, decide,
act, verify."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from watchkeeper_lab.api import Fix, Incident, Watchkeeper
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.narrate import Narrator
from watchkeeper_lab.oracle import Judgement
from watchkeeper_lab.row import Observed, Row, make_row
from watchkeeper_lab.runner import POLL_SECONDS, Watched, as_expected, control_length, mark, until_quiet
from watchkeeper_lab.scenario import Scenario
from watchkeeper_lab.serve.benchmarks import Benchmark

StepName = Literal["reset", "baseline", "inject", "detect", "decide", "act", "verify"]
STEPS: tuple[StepName, ...] = ("reset", "baseline", "inject", "detect", "decide", "act", "verify")
KEPT = 50
"""Runs that are remembered."""


@dataclass(slots=True)
class Step:
    """One step: `waiting`, `running`, `done`, `failed`, or `skipped` where the run has no such step."""

    name: StepName
    status: str = "waiting"
    began: float | None = None
    """Unix time."""
    seconds: float | None = None
    what: str = ""


@dataclass(slots=True)
class Run:
    """One validation run. `row` is as in the benchmark, once it is over."""

    id: str
    fault: str
    kind: str
    watchkeeper: str
    began: float
    status: str = "running"
    ended: float | None = None
    steps: list[Step] = field(default_factory=lambda: [Step(name) for name in STEPS])
    told: list[str] = field(default_factory=lambda: list[str]())
    error: str = ""
    row: dict[str, Any] | None = None

    def step(self, name: StepName) -> Step:
        return self.steps[STEPS.index(name)]

    def begin(self, name: StepName, at: float | None = None) -> Step:
        """It runs from now, or from a moment that is known."""
        step = self.step(name)
        step.status, step.began = "running", at or time.time()
        return step

    def end(self, name: StepName, what: str = "", at: float | None = None) -> None:
        step = self.step(name)
        step.status, step.what = "done", what
        step.seconds = round(max(0.0, (at or time.time()) - (step.began or self.began)), 3)


class Validations:
    """The runs of this process, one at a time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.runs: deque[Run] = deque(maxlen=KEPT)
        self.benchmark: Benchmark | None = None
        """The last one that was begun here."""
        self._task: asyncio.Task[None] | None = None

    def find(self, key: str) -> Run | None:
        return next((run for run in self.runs if run.id == key), None)

    def begin(self, scenario: Scenario, base_url: str, deadline: float, busy: asyncio.Lock) -> Run:
        """In the background; whoever holds `busy` has the lab to itself."""
        run = self._new(scenario, base_url)
        self._task = asyncio.create_task(self._alone(run, scenario, deadline, busy), name=run.id)
        return run

    def measure(self, benchmark: Benchmark, base_url: str, deadline: float, busy: asyncio.Lock) -> None:
        """The same for each of a benchmark, in turn."""
        self.benchmark = benchmark
        self._task = asyncio.create_task(self._in_turn(benchmark, base_url, deadline, busy), name=benchmark.name)

    async def stop(self) -> None:
        """Cut off what runs; the lab is reset."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _new(self, scenario: Scenario, base_url: str) -> Run:
        run = Run(f"val-{secrets.token_hex(4)}", scenario.name, scenario.kind, base_url, time.time())
        self.runs.appendleft(run)
        return run

    async def _in_turn(self, benchmark: Benchmark, base_url: str, deadline: float, busy: asyncio.Lock) -> None:
        async with busy:
            try:
                for one in benchmark.order:
                    run = self._new(one, base_url)
                    row = await self._through(run, one, deadline)
                    benchmark.took(one, row, run.error)
                benchmark.end("done")
            finally:
                if benchmark.ended is None:
                    benchmark.end("failed")

    async def _alone(self, run: Run, scenario: Scenario, deadline: float, busy: asyncio.Lock) -> None:
        async with busy:
            await self._through(run, scenario, deadline)

    async def _through(self, run: Run, scenario: Scenario, deadline: float) -> Row | None:
        """To its end; None, and `run.error` says why, where it cannot be judged."""
        try:
            row = await self._play(run, scenario, deadline)
            run.status, run.row = "done", row.as_json()
            return row
        except asyncio.CancelledError:
            run.status, run.error = "failed", "it was cut off"
            raise
        except Exception as problem:
            said = problem.what if isinstance(problem, LabError) else f"{type(problem).__name__}: {problem}"
            run.status, run.error = "failed", said
            return None
        finally:
            for step in run.steps:
                if step.status in ("running", "waiting"):
                    step.status = "failed" if step.status == "running" else "skipped"
            run.ended = time.time()

    async def _play(self, run: Run, scenario: Scenario, deadline: float) -> Row:
        lab = self._lab
        async with Watchkeeper(run.watchkeeper, lab.compose_project, lab.instance.by_port) as server:
            run.begin("reset")
            restored = await lab.reset()
            run.end("reset", "the lab is as it was when it came up")
            run.begin("baseline")
            await until_quiet(server)
            known = {mark(one) for one in [*await server.incidents(), *await server.fixes()]}
            facts = [f"{name} {value}" for name, value in restored.judgement.facts.items()]
            run.end("baseline", "; ".join(["the oracle and Watchkeeper see it healthy", *facts]))
            try:
                return await self._break(run, scenario, server, known, restored.judgement, deadline)
            finally:
                await asyncio.shield(lab.reset())

    async def _break(
        self,
        run: Run,
        scenario: Scenario,
        server: Watchkeeper,
        known: set[tuple[object, ...]],
        before: Judgement,
        deadline: float,
    ) -> Row:
        lab, began = self._lab, time.time()
        run.begin("inject", began)
        in_effect_at = await lab.inject(scenario.name)
        run.end("inject", scenario.description, in_effect_at)
        run.begin("detect", in_effect_at)
        narrator = Narrator(lambda line: run.told.append(f"{time.time() - in_effect_at:6.1f} s  {line}"))
        watched = Watched(server, known, began, narrator)
        until = in_effect_at + (await control_length(server, scenario) if scenario.is_control else deadline)
        while time.time() < until:
            incidents, fixes = await watched.look()
            follow(run, incidents, fixes)
            roots = {root for one in incidents for root in one.roots}
            enough = len(roots) >= (1 if scenario.one_incident else len(scenario.roots))
            if not scenario.is_control and incidents and enough and all(one.ended for one in incidents):
                break
            await asyncio.sleep(POLL_SECONDS)
        ended_at = time.time()
        incidents, fixes = await watched.look()
        follow(run, incidents, fixes, over=True)
        after = await lab.oracle.judge()
        expected, reasons = as_expected(scenario, after, before if scenario.is_control else None)
        lost = len(after.audit.lost) if after.audit is not None else 0
        requests = lab.ledger.requests(began, ended_at)
        resources = await server.resources()
        seen = Observed(
            in_effect_at, ended_at, incidents, fixes, resources, after.healthy, expected, reasons, lost, requests
        )
        return make_row(scenario, seen, planner="runbooks", run=1)


def follow(run: Run, incidents: Sequence[Incident], fixes: Sequence[Fix], *, over: bool = False) -> None:
    """How far it is, from what Watchkeeper's own records say of when."""
    fired = min((a.firing_at for one in incidents for a in one.alerts if a.firing_at), default=None)
    planned = min((fix.planned_at for fix in fixes if fix.planned_at), default=None)
    done = [step.finished_at for fix in fixes for step in fix.steps if step.finished_at]
    verdicts = [fix.verdict for fix in fixes if fix.verdict]
    ended = bool(incidents) and all(one.ended for one in incidents)
    closed = max((one.closed_at or time.time() for one in incidents), default=None) if ended else None
    tools = ", ".join(dict.fromkeys(step.tool for fix in fixes for step in fix.steps))
    reached: list[tuple[StepName, float | None, str]] = [
        ("detect", fired, ", ".join(dict.fromkeys(a.rule for one in incidents for a in one.alerts if a.firing_at))),
        ("decide", planned, ", ".join(fix.author for fix in fixes)),
        ("act", max(done) if done and (verdicts or ended or over) else None, tools),
        ("verify", closed, ", ".join(one.outcome or one.status for one in incidents)),
    ]
    for index, (name, at, what) in enumerate(reached):
        step = run.step(name)
        if at is None and not (ended and name != "verify"):
            return
        if at is None:  # it ended without: nothing was planned, or nothing done
            step.status = "skipped"
        elif step.status in ("waiting", "running") or name in ("act", "verify"):
            step.began = step.began or _before(run, index)
            run.end(name, what, at)
        following = reached[index + 1][0] if index + 1 < len(reached) else None
        if following is not None and run.step(following).status == "waiting":
            run.begin(following, at or _before(run, index))


def _before(run: Run, index: int) -> float:
    """When the step before it was over."""
    ended = [step.began + step.seconds for step in run.steps[: 3 + index] if step.began and step.seconds is not None]
    return max(ended, default=run.began)
