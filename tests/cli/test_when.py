"""Times as people write them."""

from datetime import UTC, datetime

import pytest

from watchkeeper.cli.when import moment_of
from watchkeeper.domain import WatchkeeperError

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("12h", "2026-11-21T20:30"),
        ("90m", "2026-11-22T07:00"),
        ("1.5d", "2026-11-20T20:30"),
        ("2w", "2026-11-08T08:30"),
        ("today", "2026-11-22T00:00"),
        ("Yesterday", "2026-11-21T00:00"),
        ("7:15", "2026-11-22T07:15"),
        ("18:00", "2026-11-21T18:00"),
        ("2026-11-21T18:00", "2026-11-21T18:00"),
        ("2026-11-21T18:00+02:00", "2026-11-21T16:00"),
        ("2026-11-20", "2026-11-20T00:00"),
    ],
)
def test_a_time_is_understood(said: str, meant: str) -> None:
    assert moment_of(said, NOW) == datetime.fromisoformat(f"{meant}:00+00:00")


@pytest.mark.parametrize("said", ["", "soon", "12", "99:99", "1e9d", "99999999999w", "2026-13-01"])
def test_what_is_no_time_is_told_with_examples(said: str) -> None:
    with pytest.raises(WatchkeeperError, match="is no time"):
        moment_of(said, NOW)
