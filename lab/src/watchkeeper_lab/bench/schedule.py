"""What is run, how often, in which order."""

import difflib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.scenario import Scenario, left_out, scenario, scenarios
from watchkeeper_lab.services import Ground

SUITES: dict[str, tuple[str, Callable[[Scenario], bool]]] = {
    "lab": ("every fault and control but the long ones", lambda one: not one.is_long),
    "faults": ("the faults", lambda one: not one.is_control),
    "controls": ("the controls but the long ones", lambda one: one.is_control and not one.is_long),
    "long": ("controls that take long, each once", lambda one: one.is_long),
    "all": ("everything; the long ones once", lambda one: True),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants to be run: a suite, or only the scenarios named; `seed` draws the order and all sizes."""

    suite: str = "lab"
    only: tuple[str, ...] = ()
    runs: int = 1
    seed: int = 0
    planner: str = "runbook"
    baseline_runs: int = 1
    """How often each scenario is run with each baseline; 0 for none."""


def schedule(
    only: Sequence[str], runs: int, dice: random.Random, ground: Ground | None = None, suite: str = "lab"
) -> list[tuple[Scenario, int]]:
    """Every scenario of the suite (or only the named ones) `runs` times, in random order, with the number of the run
    from 1; a long one once.

    What cannot be had on the ground is left out; where it is named, `BadInputError` is raised.
    """
    if runs < 1:
        raise BadInputError(f"`--runs {runs}` would run nothing.", "Give a number of at least 1.")
    if suite not in SUITES:
        near = difflib.get_close_matches(suite, SUITES, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(SUITES)}."
        raise BadInputError(f"There is no suite `{suite}`.", hint)
    out = left_out(ground) if ground else {}
    belongs = SUITES[suite][1]
    suited = [one for one in scenarios().values() if one.name not in out and belongs(one)]
    chosen = [scenario(name, ground) for name in only] or suited
    turns = [(one, run) for one in chosen for run in range(1, (1 if one.is_long else runs) + 1)]
    dice.shuffle(turns)
    return turns
