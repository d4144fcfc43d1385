"""What a connector may do before it is quarantined, and how it comes out again."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from watchkeeper.domain import Conflict
from watchkeeper.telemetry import watchdog
from watchkeeper.telemetry.watchdog import Watchdog
from watchkeeper.watch.checked import Garbage
from watchkeeper.watch.conduct import PROBATION, STREAK, STRIKES, Conduct
from watchkeeper.watch.supervision import Supervision, _blocked


class Heard:
    """A conduct, and what it told. Its quarantines end when a test says so."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.conduct = Conduct("rogue", lambda kind, *_: self.told.append(kind), streak_seconds=0.0)

    def over(self) -> None:
        self.conduct.until = 0.0


@pytest.fixture
async def heard() -> Heard:
    return Heard()


async def test_faults_of_its_own_without_a_good_look_between_are_too_many(heard: Heard) -> None:
    for _ in range(STREAK - 1):
        heard.conduct.failed("read", KeyError("x"))
    assert not heard.conduct.quarantined
    heard.conduct.failed("read", Garbage("read gave str"))
    assert heard.conduct.quarantined
    assert heard.told == ["connector.quarantined"]
    assert "watchkeeper connectors release rogue" in (heard.conduct.problem or "")


async def test_one_good_look_between_forgives(heard: Heard) -> None:
    for number in range(10 * STREAK):
        heard.conduct.failed("read", KeyError("x"))
        if (number + 1) % (STREAK - 1) == 0:
            heard.conduct.good()
    assert not heard.conduct.quarantined


@pytest.mark.parametrize("problem", [ConnectionRefusedError(), TimeoutError(), Conflict("gone")])
async def test_a_service_that_is_down_is_no_offence(heard: Heard, problem: Exception) -> None:
    for _ in range(10 * STREAK):
        heard.conduct.failed("read", problem)
    assert not heard.conduct.quarantined
    assert heard.conduct.offences == {}


async def test_strikes_are_counted_to_three(heard: Heard) -> None:
    for number in range(STRIKES):
        assert not heard.conduct.quarantined
        heard.conduct.strike("blocking", f"it blocked for the {number}. time")
    assert heard.conduct.quarantined
    assert heard.conduct.reason == "it blocked for the 2. time"


async def test_after_its_time_it_is_tried_again_and_one_strike_puts_it_back_for_longer(heard: Heard) -> None:
    heard.conduct.quarantine("it blocked")
    first = heard.conduct.until
    heard.over()
    assert not heard.conduct.quarantined
    assert heard.conduct.standing == "probation"
    heard.conduct.strike("blocking", "again")
    assert heard.conduct.quarantined
    assert heard.conduct.until > first + heard.conduct.first / 2


async def test_good_conduct_on_probation_ends_it_and_is_told(heard: Heard) -> None:
    heard.conduct.quarantine("it blocked")
    heard.over()
    assert not heard.conduct.quarantined
    heard.conduct.good()
    assert heard.conduct.standing == "probation", f"it lasts {PROBATION} s"
    heard.over()
    heard.conduct.good()
    assert heard.conduct.standing == "good"
    assert heard.told == ["connector.quarantined", "connector.released"]


async def test_a_person_releases_it_at_once(heard: Heard) -> None:
    heard.conduct.quarantine("it blocked")
    heard.conduct.release("mara")
    assert not heard.conduct.quarantined
    assert heard.conduct.problem is None


async def test_what_does_not_let_itself_be_cancelled_is_left_behind(heard: Heard) -> None:
    async def stubborn() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="did not let itself be cancelled"):
        await heard.conduct.call("read", stubborn, 0.05)
    assert heard.conduct.offences == {"stubborn": 1}
    await asyncio.sleep(0)  # nothing is left that would cancel us later


async def test_what_cleans_up_when_it_is_cancelled_may_do_so(heard: Heard) -> None:
    cleaned: list[bool] = []

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    with pytest.raises(TimeoutError):
        await heard.conduct.call("read", tidy, 0.05)
    assert cleaned == [True]
    assert heard.conduct.offences == {}


async def test_an_answer_and_what_is_raised_come_through(heard: Heard) -> None:
    async def answers() -> int:
        await asyncio.sleep(0)
        return 7

    async def raises() -> None:
        raise KeyError("x")

    assert await heard.conduct.call("read", answers, 1.0) == 7
    with pytest.raises(KeyError):
        await heard.conduct.call("read", raises, 1.0)
    with pytest.raises(Garbage):
        await heard.conduct.call("read", lambda: None, 1.0)  # type: ignore[arg-type, return-value]


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(watchdog, "BLOCKING", 0.05)
    monkeypatch.setattr(watchdog, "CUT", 0.1)
    monkeypatch.setattr(watchdog, "TICK", 0.02)
    made = Watchdog(_blocked)
    made.start()
    yield
    made.stop()


async def test_code_that_blocks_the_event_loop_is_cut_off_and_named(heard: Heard, watched: Iterator[None]) -> None:
    async def blocks() -> None:
        time.sleep(3600)  # noqa: ASYNC251

    with pytest.raises(TimeoutError, match="blocked everything"):
        await heard.conduct.call("read", blocks, 1.0)
    await asyncio.sleep(0)
    assert heard.conduct.offences == {"blocking": 1}
    assert "blocks (test_conduct.py:" in heard.conduct.last_offence


async def test_tasks_that_do_not_end_are_its_own_and_end_with_its_quarantine() -> None:
    class Leaking:
        kind = "rogue"

    supervision = Supervision([Leaking()], lambda *_: None)  # type: ignore[list-item]
    supervision.start()
    made: list[asyncio.Task[Any]] = []

    async def leaks() -> None:
        made.extend(asyncio.create_task(asyncio.Event().wait()) for _ in range(200))

    try:
        conduct = supervision.of("rogue")
        for _ in range(STRIKES):
            await conduct.call("read", leaks, 1.0)
            supervision.count({"rogue": 1})
        assert conduct.quarantined
        assert "600 tasks that do not end" in conduct.reason
        supervision.count({"rogue": 1})
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*made, return_exceptions=True)
        )
    finally:
        supervision.stop()


async def test_time_limits_of_its_own_that_are_over_are_no_reason_to_end_it(heard: Heard) -> None:
    async def patient() -> str:
        for _ in range(3):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await asyncio.Event().wait()
            await asyncio.sleep(0.45)  # together more than what is left to somebody who is to end
        return "there"

    assert await heard.conduct.call("read", patient, 60.0) == "there"
    assert heard.conduct.offences == {}
