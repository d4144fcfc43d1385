"""Another healer is given its time, from when the fault was first seen, and only for what it would heal."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.making import CACHE, T0, after, alert, reading, resource, situation
from watchkeeper.decide.tending import bereft, holds
from watchkeeper.domain import Effect, Reading, Tool, tool
from watchkeeper.domain.healer import Healer, fights
from watchkeeper.domain.rights import calls, commands, units
from watchkeeper.domain.situation import Situation

POLICY = Healer("docker", "Docker's restart policy (always)", 10.0)
SENTINEL = Healer("sentinel", "Sentinel", 40.0, hangs=True)
POD = Healer("kubernetes", "Kubernetes (pod a)", owns=True, instead="kubectl delete pod a")


@tool(Effect.DISRUPTIVE, rights=calls("POST /containers/{id}/start"))
async def bring_back(session: object) -> None:
    """Start it."""


@tool(Effect.DISRUPTIVE, rights=units("restart"))
async def restart_unit(session: object) -> None:
    """Restart it."""


@tool(Effect.REVERSIBLE, rights=(*commands("config|set"), *calls("POST /exec/{id}/start-not")))
async def set_something(session: object) -> None:
    """Set something."""


def seen(found: Reading, *healers: Healer) -> Situation:
    return replace(situation(CACHE, readings=(found,), alerts=(alert(at=T0),)), healers={CACHE.id: healers})


@pytest.mark.parametrize(
    ("found", "healer", "seconds"),
    [
        (reading(up=0.0), POLICY, 10),
        (reading(up=1.0, host_running=0.0), POLICY, 10),
        (reading(running=1.0, restarting=1.0), POLICY, 10),
        (reading(responding=0.0), SENTINEL, 40),
        (reading(up=0.0), replace(POLICY, wait=90.0), 90),
    ],
)
def test_it_is_given_its_time_from_when_the_fault_was_first_seen(found: Reading, healer: Healer, seconds: int) -> None:
    hold = holds(seen(found, healer), after(1))[CACHE.id]
    assert hold.until == T0 + timedelta(seconds=seconds)
    assert healer.name in hold.reason
    assert holds(seen(found, healer), after(seconds + 1)) == {}


@pytest.mark.parametrize(
    ("found", "healer"),
    [
        (reading(responding=0.0), POLICY),
        (reading(up=1.0, running=1.0), POLICY),
        (reading(up=0.0), replace(POLICY, done=True)),
        (reading(up=0.0), replace(POLICY, wait=0.0)),
        (reading(up=0.0), POD),
    ],
)
def test_nothing_is_waited_for_that_it_would_not_heal(found: Reading, healer: Healer) -> None:
    assert holds(seen(found, healer), after(1)) == {}


def test_the_longer_of_two_is_waited_for_and_what_it_runs_on_counts() -> None:
    carrier = resource("box", kind="container")
    cache = replace(CACHE, runs_on=carrier.id)
    first = alert(carrier, at=T0)
    both = replace(
        situation(cache, carrier, readings=(reading(up=0.0), reading(carrier, running=0.0)), alerts=(first,)),
        healers={cache.id: (POLICY, SENTINEL), carrier.id: (SENTINEL,)},
    )
    found = holds(both, after(1))
    assert {key: hold.until for key, hold in found.items()} == dict.fromkeys((cache.id, carrier.id), after(40))


def test_without_an_alert_nothing_is_held() -> None:
    at = replace(situation(CACHE, readings=(reading(up=0.0),)), healers={CACHE.id: (POLICY,)})
    assert holds(at, after(1)) == {}


@pytest.mark.parametrize("starts", [bring_back, restart_unit])
def test_what_somebody_owns_is_started_by_nobody_else(starts: Tool[object]) -> None:
    assert "Kubernetes (pod a) looks after it" in (fights(starts, [POLICY, POD]) or "")
    assert "kubectl delete pod a" in (fights(starts, [POD]) or "")
    assert fights(starts, [POLICY, SENTINEL]) is None


def test_a_setting_may_be_changed_all_the_same() -> None:
    assert fights(set_something, [POD]) is None


WORKER = resource("worker", kind="container", depends_on=(CACHE.id,))


@pytest.mark.parametrize(
    ("worker_ended", "cache_ended", "off", "waits"),
    [
        (10.0, 12.0, True, True),
        (10.0, 11.0, False, False),  # the cache was killed, too: it is started like anything else
        (10.0, 5.0, True, False),  # it had ended before the cache was stopped
        (10.0, 3600.0, True, False),  # it ran for an hour without it
        (0.0, 12.0, True, False),
    ],
)
def test_what_ended_because_what_it_needs_was_stopped_on_purpose_waits_for_that(
    worker_ended: float, cache_ended: float, off: bool, waits: bool
) -> None:
    at = situation(
        CACHE,
        WORKER,
        readings=(
            reading(WORKER, ended_seconds=worker_ended),
            replace(reading(CACHE, up=0.0, host_ended_seconds=cache_ended), off=off),
        ),
    )
    held = bereft(at, T0)
    assert (WORKER.id in held) is waits
    if waits:
        assert "cache, which it needs, was stopped on purpose" in held[WORKER.id].reason
    assert CACHE.id not in held
