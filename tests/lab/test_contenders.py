"""The baselines are told in the same words as Watchkeeper, and decide as they say they do."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from watchkeeper_lab.api import Resource
from watchkeeper_lab.contenders import BASELINES, Account, Attempt, Contender, RestartUnhealthy, Stage
from watchkeeper_lab.contenders.first_tool import _arguments  # pyright: ignore[reportPrivateUsage]
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.ledger import Requests
from watchkeeper_lab.row import Observed, make_row
from watchkeeper_lab.scenario import scenario

REDIS = "docker/lab/redis/x"


def stage(health: Callable[[], str], restarted: list[str]) -> Stage:
    """A place where Redis has the health that is given, and restarts are written down."""

    async def restart(service: str) -> None:
        restarted.append(service)

    async def answer(value: Any) -> Any:
        return value

    known = {REDIS: Resource(REDIS, "redis", "redis")}
    eyes = SimpleNamespace(health=lambda: answer({REDIS: health()}), resources=lambda: answer(known))
    services = SimpleNamespace(states=lambda: answer({"redis": None}), restart=restart)
    lab = SimpleNamespace(services=services, ground="container")
    return Stage(cast(Any, lab), cast(Any, eyes), cast(Any, None), 0.0)


async def test_what_is_unhealthy_is_restarted_and_then_held_for_healed() -> None:
    restarted: list[str] = []
    attempt = Attempt(stage(lambda: "HEALTHY" if restarted else "DEGRADED", restarted), RestartUnhealthy())
    began = time.time()
    await attempt.until_ended(30)
    incidents, fixes = await attempt.look()
    assert restarted == ["redis"]
    assert (incidents[0].root, incidents[0].outcome) == (REDIS, "healed")
    assert [step.tool for step in fixes[0].steps] == ["docker_restart"]
    known = {REDIS: Resource(REDIS, "redis", "redis")}
    seen = Observed(began, time.time(), incidents, fixes, known, False, False, ("full",), 0, Requests(1, 0, 0.0))
    row = make_row(scenario("redis-memory-full-headroom"), seen, planner="restart_unhealthy", run=1)
    assert (row.detected, row.root_correct, row.tool_correct, row.falsely_healed) == (True, True, False, True)
    assert None not in row.as_json()["seconds"].values()


async def test_what_is_healthy_is_left_alone_and_undetected() -> None:
    restarted: list[str] = []
    attempt = Attempt(stage(lambda: "HEALTHY", restarted), RestartUnhealthy())
    await attempt.until_ended(0.05)
    assert await attempt.look() == ([], [])
    assert restarted == []


async def test_a_step_that_fails_is_written_down_and_not_raised() -> None:
    account = Account()
    async with account.step("docker_restart", REDIS, "disruptive"):
        raise LabError("it would not")
    assert [(step.status, step.error) for step in account.steps] == [("failed", "it would not")]


def test_arguments_of_a_rung_come_from_the_reading_and_what_is_not_known_rules_it_out() -> None:
    import cel

    scope = cel.Context({"reading": {"safe": 1024.0}, "facts": {"pid": "7"}, "state": ""})
    given = {"value": "= reading.safe", "pid": "= int(facts.pid)", "ratio": 0.7}
    assert _arguments(given, scope) == {"value": 1024, "pid": 7, "ratio": 0.7}
    assert _arguments({"value": "= facts.absent"}, scope) is None


@pytest.mark.parametrize(("name", "make"), BASELINES.items())
def test_each_baseline_goes_by_its_name(name: str, make: type[Contender]) -> None:
    assert make().name == name
