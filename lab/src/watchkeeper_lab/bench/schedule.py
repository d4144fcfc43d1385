"""What is run, how often, in which order."""

import difflib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.scenario import Scenario, left_out, scenario, scenarios
from watchkeeper_lab.services import Ground
from watchkeeper_lab.stack import SHOP, TICKETS, Stack


@dataclass(frozen=True, slots=True)
class Suite:
    """What belongs together: scenarios of one stack. `scraped`: its services are seen only through Prometheus.
    `unforeseen`: the runbooks that its scenarios name are taken away."""

    what: str
    has: Callable[[Scenario], bool]
    stack: Stack = SHOP
    scraped: bool = False
    unforeseen: bool = False


SUITES = {
    "lab": Suite("every fault and control but the long ones", lambda one: not (one.is_long or one.unforeseen)),
    "faults": Suite("the faults", lambda one: not (one.is_control or one.unforeseen)),
    "controls": Suite("the controls but the long ones", lambda one: one.is_control and not one.is_long),
    "long": Suite("controls that take long, each once", lambda one: one.is_long),
    "all": Suite("everything for which there are runbooks; the long ones once", lambda one: not one.unforeseen),
    "prometheus": Suite(
        "the faults that Prometheus' exporters tell of, and two controls",
        lambda one: one.name in {"healthy", "load-peak"} or not (one.is_control or one.unscraped or one.unforeseen),
        scraped=True,
    ),
    "unforeseen": Suite(
        "faults for which there is no runbook: new ones, and old ones whose runbooks are taken away",
        lambda one: one.unforeseen or bool(one.foreseen_by),
        unforeseen=True,
    ),
    "second": Suite("the faults and controls of the second stack, `tickets`", lambda one: True, TICKETS),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants to be run: a suite, or only the scenarios named; `seed` draws the order and all sizes."""

    suite: str = "lab"
    only: tuple[str, ...] = ()
    runs: int = 1
    seed: int = 0
    planner: str = "runbooks"
    baseline_runs: int = 1
    """How often each scenario is run with each baseline; 0 for none."""
    beside: tuple[str, ...] = ()
    """Only these baselines; empty for all of them."""

    @property
    def stack(self) -> Stack:
        """The system that it is run on."""
        return SUITES[self.suite].stack

    @property
    def without_runbooks(self) -> tuple[str, ...]:
        """Runbooks that are taken away from every run, `KIND/NAME`."""
        named = [book for one in scenarios(self.stack).values() for book in one.foreseen_by]
        return tuple(dict.fromkeys(named)) if SUITES[self.suite].unforeseen else ()

    @property
    def scraped(self) -> bool:
        """Whether its services are seen only through Prometheus."""
        return SUITES[self.suite].scraped


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
    chosen = SUITES[suite]
    out = left_out(ground, chosen.stack) if ground else {}
    suited = [one for one in scenarios(chosen.stack).values() if one.name not in out and chosen.has(one)]
    wanted = [scenario(name, ground, chosen.stack) for name in only] or suited
    turns = [(one, run) for one in wanted for run in range(1, (1 if one.is_long else runs) + 1)]
    dice.shuffle(turns)
    return turns
