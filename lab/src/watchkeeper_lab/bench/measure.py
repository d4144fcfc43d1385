"""Runs the benchmark: a lab of its own, a Watchkeeper with an empty store for each run."""

import json
import os
import platform
import random
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console

from watchkeeper_lab.api import Watchkeeper
from watchkeeper_lab.bench import model
from watchkeeper_lab.bench.schedule import Order, schedule
from watchkeeper_lab.bench.scripted import BANNER, Scripted
from watchkeeper_lab.bench.seat import PLANNER, Seat
from watchkeeper_lab.contenders import BASELINES, Attempt, Contender, Stage
from watchkeeper_lab.engine import engine_version
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.row import Row, summary
from watchkeeper_lab.runner import BASELINE_SECONDS, Followed, play, run_scenario
from watchkeeper_lab.scenario import Scenario, left_out
from watchkeeper_lab.scraped import scraped
from watchkeeper_lab.server import command, watchkeeper_for
from watchkeeper_lab.services import Ground

LAB_NAME = "bench"


@dataclass(slots=True)
class Results:
    """What has been measured so far; written to `path`, where there is one, after each run: nothing is lost."""

    order: Order
    path: Path | None
    rows: list[Row] = field(default_factory=lambda: list[Row]())
    baselines: dict[str, list[Row]] = field(default_factory=lambda: dict[str, list[Row]]())
    begun_anew: list[str] = field(default_factory=lambda: list[str]())
    ground: Ground = "container"
    config: str = ""
    """The `watchkeeper.yaml` of each run."""
    llm: dict[str, Any] | None = None
    """The language models that are asked, as `llm:` names them; None where none is."""
    scripted: Scripted | None = None
    seat: Seat | None = None
    keep: Path | None = None
    """A folder for what the Watchkeeper of each run kept and printed."""
    versions: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    began: float = field(default_factory=time.time)
    """Unix time."""

    def add(self, row: Row, baseline: str = "") -> None:
        """One more row."""
        (self.baselines.setdefault(baseline, []) if baseline else self.rows).append(row)
        self.write(complete=False)

    def write(self, *, complete: bool) -> dict[str, Any]:
        """Everything in the shape of the JSON, and into the file."""
        others = {name: summary(rows) for name, rows in self.baselines.items()}
        told = {
            "scenarios": in_order(self.rows),
            "baselines": {name: in_order(rows) for name, rows in self.baselines.items()},
            "summary": summary(self.rows) | {"baselines": others},
            "complete": complete,
            "begun_anew": self.begun_anew,
            "suite": self.order.suite,
            "seed": self.order.seed,
            "ground": self.ground,
            "stack": self.order.stack.name,
            "left_out": left_out(self.ground, self.order.stack),
            "machine": machine(),
            "versions": self.versions,
            "began": self.began,
            "ended": time.time(),
            "planner": self.order.planner,
            "without_runbooks": list(self.order.without_runbooks),
        }
        if self.llm is not None:
            told["models"] = [one["name"] for one in self.llm.get("models", [])] or ["as by default"]
            told["protocol_run"] = self.scripted is not None
        if self.path is not None:
            write(told, self.path)
        return told


async def bench(
    order: Order,
    console: Console,
    ground: Ground | None = None,
    path: Path | None = None,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Run the benchmark and return it in the shape of its JSON; prints one line per run, and what is left out and why.

    Each run gets a Watchkeeper with an empty store, for a fault that came a minute ago would be taken for a relapse. A
    run that could not even begin is begun once more, and told; where it cannot again, that ends the benchmark.
    """
    schedule(order.only, order.runs, random.Random(), None, order.suite)
    contenders = _contenders(order)
    command()
    llm = model.said() if order.planner in (model.MODEL, model.AUTO) else None
    if order.planner == model.SCRIPTED:
        _all_scripted(order)
        console.print(BANNER, style="yellow", soft_wrap=True)
    console.print(f"The order, and the sizes of what is injected, are drawn with `--seed {order.seed}`.")
    dice, results = random.Random(order.seed), Results(order, path, keep=keep)
    async with (
        Lab.running(f"{LAB_NAME}-{os.getpid()}", console.print, ground, order.stack) as lab,
        AsyncExitStack() as stack,
    ):
        results.config = lab.instance.configuration()
        if order.scraped:
            results.config = await stack.enter_async_context(scraped(lab, console.print))
        if order.without_runbooks:
            results.config = model.with_settings(results.config, {"without_runbooks": list(order.without_runbooks)})
        if order.planner == model.SCRIPTED:
            results.scripted = await stack.enter_async_context(Scripted())
        results.llm = results.scripted.llm if results.scripted else llm
        if order.planner == PLANNER:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="watchkeeper-bench-seat-"))
            results.seat = Seat.below(Path(folder))
            console.print(results.seat.told, soft_wrap=True)
        results.ground, results.versions = lab.ground, await versions()
        turns = schedule(order.only, order.runs, dice, lab.ground, order.suite)
        for number, (one, run) in enumerate(turns, 1):
            results.add(row := await _begun(results, lab, one, run, console))
            _tell(console, f"{number}/{len(turns)}", row)
        for name, baseline in contenders.items():
            again = schedule(order.only, order.baseline_runs, dice, lab.ground, order.suite)
            again = [(one, run) for one, run in again if not one.is_long]
            for number, (one, run) in enumerate(again, 1):
                results.add(row := await _begun(results, lab, one, run, console, baseline, name), name)
                _tell(console, f"{name} {number}/{len(again)}", row)
    return results.write(complete=True)


def _contenders(order: Order) -> dict[str, type[Contender] | None]:
    """What it is run beside; None is the Watchkeeper itself, with runbooks alone. Raises BadInputError."""
    alone: dict[str, type[Contender] | None] = {model.RUNBOOKS: None} if order.planner in model.ASKING else {}
    known = alone | BASELINES
    if unknown := [name for name in order.beside if name not in known]:
        raise BadInputError(
            f"Nothing is run beside it that is called `{unknown[0]}`.", f"There are {', '.join(known)}."
        )
    wanted = order.beside or tuple(known)
    return {name: known[name] for name in known if name in wanted} if order.baseline_runs else {}


async def _begun(
    results: Results,
    lab: Lab,
    one: Scenario,
    run: int,
    console: Console,
    baseline: type[Contender] | None = None,
    planner: str = "",
) -> Row:
    """A run; where it could not begin, one more try, which is written down."""
    try:
        return await _run(lab, one, results, run, baseline() if baseline else None, planner)
    except LabError as problem:
        told = f"{one.name}, run {run}, was begun anew: {problem.what}"
        results.begun_anew.append(told)
        console.print(told, style="yellow", soft_wrap=True)
        await lab.reset()
        return await _run(lab, one, results, run, baseline() if baseline else None, planner)


async def _run(
    lab: Lab, one: Scenario, results: Results, run: int, contender: Contender | None = None, planner: str = ""
) -> Row:
    """One run; sizes are drawn anew for each, and the same for every contender."""
    order = results.order
    planner = planner or order.planner
    random.seed(f"{order.seed} {one.name} {run}")
    if contender is None and results.seat is not None:
        return await _run_by_agent(lab, one, results, results.seat, run)
    with _folder(results, f"{contender.name if contender else planner}-{one.name}-{run}") as folder:
        mode, config = "auto" if contender is None else "observe", results.config
        asks = contender is None and results.llm is not None and planner in model.ASKING
        if asks and results.llm is not None:
            config = model.configured(config, results.llm, "auto" if planner == model.AUTO else "model")
        if results.scripted is not None:
            results.scripted.scenario = one
        async with watchkeeper_for(lab, folder, mode, config) as server:
            if asks:
                deadline = model.DEADLINE_SECONDS
                played = await play(lab, one, server.base_url, planner=planner, run=run, deadline=deadline)
                return replace(played.row, thinking=await model.thinking(server.base_url))
            if contender is None:
                return await run_scenario(lab, one, server.base_url, planner=planner, run=run)

            def follow(eyes: Watchkeeper, since: float) -> Followed:
                return Attempt(Stage(lab, eyes, server, since), contender)

            name, deadline = contender.name, BASELINE_SECONDS
            played = await play(lab, one, server.base_url, planner=name, run=run, deadline=deadline, follow=follow)
            return played.row


@contextmanager
def _folder(results: Results, name: str) -> Generator[Path]:
    """An empty one for a run, gone afterwards where it is not to be kept."""
    if results.keep is None:
        with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
            yield Path(folder)
        return
    kept = results.keep / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    yield kept


async def _run_by_agent(lab: Lab, one: Scenario, results: Results, seat: Seat, run: int) -> Row:
    """One run in which whoever connected over MCP plans. Nothing is broken before it is there."""
    seat.clear()
    config = seat.configured(results.config)
    async with watchkeeper_for(lab, seat.folder, "auto", config, seat.port) as server:
        await seat.until_taken(server.base_url)
        played = await play(lab, one, server.base_url, planner=PLANNER, run=run, deadline=seat.deadline)
        return played.row


def _all_scripted(order: Order) -> None:
    """Raises BadInputError where there is a scenario that no script was written for."""
    turns = schedule(order.only, 1, random.Random(), None, order.suite)
    if without := sorted({one.name for one, _ in turns if not one.script and not one.is_control}):
        raise BadInputError(
            f"There is no script for {without[0]}.", "`--planner scripted` is for `bench unforeseen`; or name `--only`."
        )


def in_order(rows: list[Row]) -> list[dict[str, Any]]:
    """As JSON, faults first, by name and run."""
    return [row.as_json() for row in sorted(rows, key=lambda row: (row.kind != "fault", row.name, row.run))]


def describe(row: Row) -> str:
    """A run in one line."""
    good = "right" if row.right else "WRONG"
    told = f"{row.name}: {good}, {row.verdict}, {row.actions} actions, {row.data_lost} lost, {row.seconds.total:.1f} s"
    return f"{told} ({'; '.join(row.reasons)})" if row.reasons else told


def _tell(console: Console, where: str, row: Row) -> None:
    console.print(f"{where}  {describe(row)}", style=None if row.right else "red", soft_wrap=True)


def write(result: dict[str, Any], path: Path) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What it ran on; memory in bytes; the load as an average over five minutes."""
    return {
        "cpus": os.cpu_count() or 0,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": round(os.getloadavg()[1], 2),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
    }


async def versions() -> dict[str, str]:
    """Versions of what took part."""
    found = {"python": platform.python_version(), "docker": await engine_version() or ""}
    for name in ("watchkeeper", "watchkeeper-lab", "redis", "psycopg", "httpx"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
