"""The benchmark: every fault and control in random order against a Watchkeeper of its own, judged by the oracle."""

import json
import os
import platform
import random
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table

from watchkeeper_lab.engine import engine_version
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.row import Row, summary
from watchkeeper_lab.runner import run_scenario
from watchkeeper_lab.scenario import Scenario, left_out, scenario, scenarios
from watchkeeper_lab.server import command, watchkeeper_for
from watchkeeper_lab.services import Ground

LAB_NAME = "bench"
COUNTED = {"root_correct": "root", "tool_correct": "tool", "healed": "healed", "falsely_healed": "false"}
SUMMED = {"needless_actions": "extra", "data_lost": "lost"}
PARTS = ("detect", "decide", "act", "verify", "total")


def schedule(
    only: Sequence[str], runs: int, dice: random.Random, ground: Ground | None = None
) -> list[tuple[Scenario, int]]:
    """Every scenario (or only the named ones) `runs` times, in random order, with the number of the run from 1.

    What cannot be had on the ground is left out; where it is named, `BadInputError` is raised.
    """
    if runs < 1:
        raise BadInputError(f"`--runs {runs}` would run nothing.", "Give a number of at least 1.")
    out = left_out(ground) if ground else {}
    chosen = [scenario(name, ground) for name in only] or [one for one in scenarios().values() if one.name not in out]
    turns = [(one, run) for one in chosen for run in range(1, runs + 1)]
    dice.shuffle(turns)
    return turns


async def bench(
    only: Sequence[str], runs: int, planner: str, console: Console, ground: Ground | None = None
) -> dict[str, Any]:
    """Run the benchmark and return it in the shape of its JSON; prints one line per run, and what is left out and why.

    Each run gets a Watchkeeper with an empty store, for a fault that came a minute ago would be taken for a relapse.
    A run that could not even begin is an error and ends the benchmark: no row is left out silently.
    """
    schedule(only, runs, random.Random(), ground)
    command()
    rows: list[Row] = []
    async with Lab.running(f"{LAB_NAME}-{os.getpid()}", console.print, ground) as lab:
        turns = schedule(only, runs, random.Random(), lab.ground)
        for number, (one, run) in enumerate(turns, 1):
            row = await _fresh_run(lab, one, planner, run)
            rows.append(row)
            console.print(f"{number}/{len(turns)}  {describe(row)}", style=None if row.right else "red", soft_wrap=True)
    return {
        "scenarios": [row.as_json() for row in sorted(rows, key=lambda row: (row.kind != "fault", row.name, row.run))],
        "baselines": {},
        "ground": lab.ground,
        "left_out": left_out(lab.ground),
        "summary": summary(rows),
        "machine": machine(),
        "versions": await versions(),
    }


async def _fresh_run(lab: Lab, one: Scenario, planner: str, run: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
        async with watchkeeper_for(lab, Path(folder)) as server:
            return await run_scenario(lab, one, server.base_url, planner=planner, run=run)


def describe(row: Row) -> str:
    """A run in one line."""
    good = "right" if row.right else "WRONG"
    told = f"{row.name}: {good}, {row.verdict}, {row.actions} actions, {row.data_lost} lost, {row.seconds.total:.1f} s"
    return f"{told} ({'; '.join(row.reasons)})" if row.reasons else told


def tables(result: dict[str, Any]) -> Group:
    """The results, one line per scenario: what was right in how many of its runs, and where the seconds went.

    Raises `LabError` where there is nothing to show.
    """
    rows: list[dict[str, Any]] = result["scenarios"]
    if not rows:
        raise LabError("The benchmark has no rows: nothing was run.", "See `watchkeeper lab faults`.")
    right = Table(title="Runs in which it was so", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    spent = Table(title="Seconds, median/worst", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for shown, columns in ((right, ("runs", *COUNTED.values(), *SUMMED.values())), (spent, PARTS)):
        shown.add_column("scenario", no_wrap=True)
        for column in columns:
            shown.add_column(column, justify="right")
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        counts = [str(sum(row[field] for row in mine)) for field in (*COUNTED, *SUMMED)]
        right.add_row(name, str(len(mine)), *counts)
        if mine[0]["kind"] == "fault":
            spans = [[row["seconds"][part] for row in mine] for part in PARTS]
            spent.add_row(name, *[f"{median(span):.1f}/{max(span):.1f}" for span in spans])
    return Group(right, spent) if spent.rows else Group(right)


def write(result: dict[str, Any], path: Path) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What it ran on; memory in bytes."""
    return {
        "cpus": os.cpu_count() or 0,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
    }


async def versions() -> dict[str, str]:
    """Versions of what took part."""
    found = {"python": platform.python_version(), "docker": await engine_version() or ""}
    for name in ("watchkeeper", "watchkeeper-lab", "redis"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
