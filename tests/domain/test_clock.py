"""The time does not jump while something is handled, whatever is done to the system's clock."""

import pytest

from watchkeeper.domain import Clock

HOUR, DAY = 3600.0, 86400.0


class Times:
    """Seconds that a test says."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.steady = 50.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
def test_a_jump_does_not_show_until_it_is_taken_over(times: Times, jump: float) -> None:
    before = times.clock.now()
    times.wall += jump
    times.pass_by(5.0)
    assert (times.clock.now() - before).total_seconds() == pytest.approx(5.0)
    assert times.clock.follow() == pytest.approx(jump)
    assert times.clock.now().timestamp() == pytest.approx(times.wall)


@pytest.mark.parametrize("jump", [HOUR, -DAY])
def test_a_jump_waits_while_somebody_holds_the_clock(times: Times, jump: float) -> None:
    before = times.clock.now()
    times.wall += jump
    with times.clock.held():
        times.pass_by(60.0)
        assert times.clock.follow() == 0.0
        assert (times.clock.now() - before).total_seconds() == pytest.approx(60.0)
    assert times.clock.follow() == pytest.approx(jump)


@pytest.mark.parametrize("drift", [1.0, -1.0])
def test_a_drift_is_taken_over_gently_and_time_never_goes_back(times: Times, drift: float) -> None:
    times.wall += drift
    last = times.clock.now()
    for _ in range(60):
        times.pass_by(1.0)
        assert times.clock.follow() == 0.0
        assert times.clock.now() > last
        last = times.clock.now()
    assert times.clock.off == pytest.approx(0.0, abs=1e-3)
