"""What lasted over a time in which nobody watched says so."""

from tests.domain.making import after, fix, incident
from watchkeeper.cli.story import between
from watchkeeper.domain import Event
from watchkeeper.domain.unwatched import gaps, unwatched
from watchkeeper.notify import report_markdown

AWAY = Event("server.started", "exec-1", "mode auto", after(100), data={"away_since": after(40).isoformat()})
BEGUN = Event("server.started", "exec-0", "mode auto", after(-500))


def test_only_what_overlaps_counts_and_an_ordinary_start_is_no_gap() -> None:
    assert gaps([AWAY, BEGUN]) == [(after(40), after(100))]
    assert unwatched([AWAY, BEGUN], after(0), after(120)) == 60.0
    assert unwatched([AWAY], after(70), after(90)) == 20.0
    assert unwatched([AWAY], after(100), after(120)) == 0.0
    assert unwatched([AWAY], after(0), None) == 0.0


def test_what_only_left_out_for_a_while_was_not_watched_and_no_second_counts_twice() -> None:
    left = Event("incident.unwatched", "inc-1", "", after(20))
    again = Event("incident.watched", "inc-1", "", after(110), data={"away_since": after(20).isoformat()})
    assert gaps([left, AWAY, again]) == [(after(20), after(110))]
    assert unwatched([left, AWAY, again], after(0), after(120)) == 90.0
    assert unwatched([left], after(0), after(120)) == 100.0  # nobody has looked since


def test_the_report_and_the_story_say_how_long_nobody_watched() -> None:
    over = incident(at=after(0)).close("healed", after(120), "3 good looks in a row")
    assert "**healed** after 120.0 s, 60.0 s of which nobody watched" in report_markdown(over, [], [], [AWAY])
    assert "nobody watched" not in report_markdown(over, [], [fix()], [BEGUN])
    told = {"kind": AWAY.kind, "at": AWAY.at.isoformat(), "data": dict(AWAY.data)}
    assert between(after(0).isoformat(), after(120).isoformat(), [told]) == "2 min, 1 min of it unwatched"
    assert between(after(0).isoformat(), after(30).isoformat(), [told]) == "30 s"
