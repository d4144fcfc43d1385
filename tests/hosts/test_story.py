"""What the engine's events say about why a container stopped."""

from datetime import UTC, datetime

import pytest

from watchkeeper.hosts.story import Story, Told

SECOND = 1_000_000_000
END = 1_800_000_000 * SECOND
FINISHED = datetime.fromtimestamp(END / SECOND, UTC)


def story(*events: tuple[float, str, int]) -> Story:
    """Events as (seconds from the end, action, signal or exit code)."""
    told = Story()
    for after, action, figure in events:
        code = figure if action == "die" else None
        told.hear(Told(END + int(after * SECOND), action, figure if action == "kill" else 0, code))
    return told


def cause(told: Story, *, oom: bool = False, stop_signal: str = "SIGTERM") -> str:
    return told.cause(FINISHED, stop_signal=stop_signal, oom_killed=oom)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(-1, "kill", 15), (0, "die", 0), (0.1, "stop", 0)], "on_purpose"),
        ([(-10, "kill", 15), (-0.1, "kill", 9), (0, "die", 137), (0.1, "stop", 0)], "on_purpose"),
        ([(-0.1, "kill", 9), (0, "die", 137)], "killed"),
        ([(0, "die", 137)], "killed"),
        ([(-0.1, "oom", 0), (0, "die", 137)], "oom"),
        ([(0, "die", 137), (0.5, "oom", 0)], "oom"),
        ([(0, "die", 1)], "exited"),
        ([(0, "die", 0)], "exited"),
        ([], "unknown"),
    ],
)
def test_the_cause_of_a_stop_is_told_by_events_not_by_the_exit_code(
    events: list[tuple[float, str, int]], expected: str
) -> None:
    assert cause(story(*events)) == expected


def test_a_long_grace_is_explained_by_the_stop_that_follows() -> None:
    told = story((-120, "kill", 15), (-0.1, "kill", 9), (0, "die", 137))
    assert cause(told) == "killed"
    told.hear(Told(END + SECOND // 10, "stop"))
    assert cause(told) == "on_purpose"


def test_a_stop_of_an_earlier_life_excuses_nothing() -> None:
    told = story((-9, "kill", 15), (-8.9, "die", 0), (-8.8, "stop", 0), (-5.1, "start", 0), (0, "die", 137))
    assert cause(told) == "killed"


def test_a_container_with_a_stop_signal_of_its_own_is_stopped_by_it() -> None:
    told = story((-1, "kill", 3), (0, "die", 0))
    assert cause(told, stop_signal="SIGQUIT") == "on_purpose"
    assert cause(told) == "exited"


def test_out_of_memory_is_known_without_events() -> None:
    assert cause(story(), oom=True) == "oom"


def test_an_event_heard_twice_is_remembered_once() -> None:
    told = Story()
    assert told.hear(Told(END, "oom"))
    assert not told.hear(Told(END, "oom"))
    assert told.oom_kills == 1


def test_only_ends_that_nobody_asked_for_are_crashes() -> None:
    told = story((-20, "die", 1), (-10.1, "kill", 9), (-10, "die", 137), (-5, "die", 0), (0, "die", 139))
    # The kill explains what ends within thirty seconds of it; the first end came before it, the last is explained.
    assert told.crashes_since(FINISHED.replace(year=2000)) == 1
