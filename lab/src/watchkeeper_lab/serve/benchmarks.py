"""Benchmarks begun from a page: validation runs in turn, judged as `watchkeeper bench` does, each kept in a file."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchkeeper_lab.bench.measure import in_order, machine, versions, write
from watchkeeper_lab.bench.schedule import SUITES, schedule
from watchkeeper_lab.instance import state_home
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.row import Row, summary
from watchkeeper_lab.scenario import Scenario


def kept() -> Path:
    """Where their results are: beside the labs, so that they outlive them and can be compared over time."""
    return state_home() / ".benchmarks"


@dataclass(slots=True)
class Benchmark:
    """Faults and controls in random order, each once. `seed` repeats the order."""

    name: str
    suite: str
    seed: int
    order: Sequence[Scenario]
    began: float = field(default_factory=time.time)
    """Unix time."""
    ended: float | None = None
    status: str = "running"
    rows: list[Row] = field(default_factory=lambda: list[Row]())
    failed: list[str] = field(default_factory=lambda: list[str]())
    """What could not be measured, and why."""
    left: list[str] = field(default_factory=lambda: list[str]())
    versions: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    ground: str = "container"

    @classmethod
    async def of(cls, lab: Lab, only: Sequence[str]) -> "Benchmark":
        """The named ones, or all that this lab can have. Raises `BadInputError`."""
        seed, ground = random.SystemRandom().randrange(1 << 31), lab.ground
        suite = next(name for name, suite in SUITES.items() if suite.stack is lab.stack)
        turns = schedule(only, 1, random.Random(seed), ground, suite)
        order = [one for one, _ in turns]
        name = time.strftime("page-%Y%m%d-%H%M%S", time.gmtime())
        made = cls(name, suite, seed, order, left=[one.name for one in order], ground=ground)
        made.versions = await versions()
        return made

    def took(self, scenario: Scenario, row: Row | None, error: str) -> None:
        """One is through: how it was judged, or why it could not be. Nothing that was measured is lost."""
        self.left.remove(scenario.name)
        if row is not None:
            self.rows.append(row)
        else:
            self.failed.append(f"{scenario.name}: {error}")
        self.write()

    def end(self, status: str) -> None:
        self.status, self.ended = status, time.time()
        self.write()

    def write(self) -> None:
        if self.rows:
            write(self.as_json(), kept() / f"{self.name}.json")

    def as_json(self) -> dict[str, Any]:
        """In the shape of `watchkeeper bench --json`, and when it was."""
        complete = self.status == "done" and not self.failed and not self.left
        return {
            "name": self.name,
            "began": self.began,
            "ended": self.ended,
            "status": self.status,
            "error": "; ".join(self.failed),
            "left": self.left,
            "scenarios": in_order(self.rows),
            "summary": summary(self.rows),
            "complete": complete,
            "suite": self.suite,
            "seed": self.seed,
            "ground": self.ground,
            "machine": machine(),
            "versions": self.versions,
        }
