"""Too much to look at as often as is wanted: rarer looks, said; never where there is little, and never for long."""

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.watch.pace import BUSY, MANY, RAREST, Pace

share = st.floats(0.0, 1.5)
late = st.floats(-1.0, 30.0)


def adjusted(number: int, *moments: tuple[float, float]) -> Pace:
    pace = Pace(2.0)
    for used, behind in moments:
        pace.adjust(number, used, behind)
    return pace


@given(st.integers(0, MANY), st.lists(st.tuples(share, late), max_size=30))
def test_where_there_is_little_the_interval_is_kept_however_busy_the_machine_is(
    number: int, moments: list[tuple[float, float]]
) -> None:
    pace = adjusted(number, *moments)
    assert (pace.factor, pace.problem) == (1.0, None)


@given(st.lists(st.tuples(share, late), max_size=100))
def test_it_is_never_stretched_beyond_a_minute_nor_made_shorter(moments: list[tuple[float, float]]) -> None:
    assert 1.0 <= adjusted(10_000, *moments).factor <= RAREST / 2.0


def test_what_costs_too_much_is_looked_at_more_rarely_which_is_said_and_over_when_it_costs_less() -> None:
    pace = adjusted(10_000, *[(BUSY + 0.1, 0.0)] * 6)
    assert pace.problem is not None
    assert "10,000 resources" in pace.problem
    assert "every 10 s" in pace.problem
    for _ in range(30):
        pace.adjust(10_000, 0.1, 0.0)
    assert (pace.factor, pace.problem) == (1.0, None)


def test_many_that_come_at_once_begin_at_about_the_pace_they_will_keep() -> None:
    pace = Pace(2.0)
    pace.expect(MANY)
    assert pace.factor == 1.0
    pace.expect(10_000)
    assert 5.0 < pace.factor <= RAREST / 2.0
