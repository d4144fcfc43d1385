"""Maintenance windows against a plain reference: minute by minute, with the clock on the wall."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import resource
from watchkeeper.decide.windows import Schedule, Windows
from watchkeeper.domain import ConfigurationError, Window
from watchkeeper.settings import load_settings
from watchkeeper.settings.maintenance import MaintenanceSettings
from watchkeeper.store import Store

MINUTE = timedelta(minutes=1)
CHANGES = {
    "Europe/Berlin": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 10, 3, 15, 30, tzinfo=UTC), datetime(2026, 4, 4, 15, tzinfo=UTC)),
    "UTC": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def said(**more: object) -> MaintenanceSettings:
    return MaintenanceSettings.model_validate({"name": "w"} | more)


def begins_at(minute: datetime, hour: int, past: int, days: set[int], zone: ZoneInfo) -> bool:
    """Whether a window begins in this minute (UTC): the wall shows its time first, or has just skipped it."""
    here, before = minute.astimezone(zone), (minute - MINUTE).astimezone(zone)
    skipped = here.replace(tzinfo=None) - before.replace(tzinfo=None) - MINUTE
    if skipped > timedelta(0):
        walls = [before.replace(tzinfo=None) + MINUTE * n for n in range(1, skipped // MINUTE + 2)]
    else:
        walls = [here.replace(tzinfo=None)] if here.fold == 0 else []
    return any((wall.hour, wall.minute) == (hour, past) and wall.weekday() in days for wall in walls)


@given(
    zone=st.sampled_from(sorted(CHANGES)),
    autumn=st.booleans(),
    hour=st.integers(0, 23),
    past=st.sampled_from([0, 1, 15, 30, 45, 59]),
    days=st.sets(st.integers(0, 6), min_size=1),
    length=st.integers(1, 30 * 60),
    offset=st.integers(-36 * 60, 36 * 60),
)
def test_a_window_holds_when_the_clock_on_the_wall_says_so(
    zone: str, autumn: bool, hour: int, past: int, days: set[int], length: int, offset: int
) -> None:
    at = CHANGES[zone][autumn] + offset * MINUTE
    cron = f"{past} {hour} * * {','.join(DAYS[day] for day in sorted(days))}"
    schedule = Schedule(said(cron=cron, **{"for": f"{length}m"}, zone=zone))

    began = [
        minute
        for minute in (at - MINUTE * back for back in range(length))
        if begins_at(minute, hour, past, days, ZoneInfo(zone))
    ]
    found = schedule.at(at)

    assert (found is not None) == bool(began)
    if found is not None:
        assert (found.begins, found.ends) == (min(began), max(began) + length * MINUTE)


@given(zone=st.sampled_from(sorted(CHANGES)), autumn=st.booleans(), offset=st.integers(-2000, 2000))
def test_the_next_window_is_the_first_that_holds_later(zone: str, autumn: bool, offset: int) -> None:
    at = CHANGES[zone][autumn] + offset * MINUTE
    schedule = Schedule(said(cron="30 2 * * *", **{"for": "1h"}, zone=zone))
    coming = schedule.next(at)
    assert coming is not None
    assert coming.begins > at
    between = (at + MINUTE * n for n in range(1, (coming.begins - at) // MINUTE))
    held = schedule.at(at)
    assert all((window := schedule.at(minute)) is None or window == held for minute in between)


@given(st.datetimes(datetime(2026, 3, 28), datetime(2026, 3, 30)), st.integers(1, 3000), st.integers(-3000, 6000))
def test_a_single_window_holds_from_its_beginning_to_its_end(begins: datetime, length: int, offset: int) -> None:
    zone, begins = ZoneInfo("Europe/Berlin"), begins.replace(fold=0)  # which a text in the configuration does not tell
    first = begins.replace(tzinfo=zone).astimezone(UTC)
    last = first + length * MINUTE
    schedule = Schedule(said(**{"from": begins.isoformat()}, to=last.isoformat(), zone="Europe/Berlin"))
    at = first + offset * MINUTE
    assert (schedule.at(at) is not None) == (first <= at < last)
    assert (schedule.next(at) is not None) == (first > at)


def test_a_window_across_midnight_holds_on_both_days() -> None:
    schedule = Schedule(said(cron="0 23 * * sat", **{"for": "3h"}, zone="Europe/Berlin"))
    zone = ZoneInfo("Europe/Berlin")
    held = [datetime(2026, 1, 10, 23, 0), datetime(2026, 1, 11, 1, 59)]
    free = [datetime(2026, 1, 10, 22, 59), datetime(2026, 1, 11, 2, 0), datetime(2026, 1, 11, 23, 0)]
    assert all(schedule.at(at.replace(tzinfo=zone)) for at in held)
    assert not any(schedule.at(at.replace(tzinfo=zone)) for at in free)


def test_in_the_hour_that_comes_twice_a_window_begins_once() -> None:
    schedule = Schedule(said(cron="30 2 * * *", **{"for": "10m"}, zone="Europe/Berlin"))
    assert schedule.at(datetime(2026, 10, 25, 0, 35, tzinfo=UTC))
    assert not schedule.at(datetime(2026, 10, 25, 1, 35, tzinfo=UTC))


def test_in_the_hour_left_out_a_window_is_not_lost() -> None:
    schedule = Schedule(said(cron="30 2 * * *", **{"for": "10m"}, zone="Europe/Berlin"))
    assert schedule.at(datetime(2026, 3, 29, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ("{name: w}", "either `cron` and `for`, or `from` and `to`"),
        ("{name: w, cron: '0 2 * * *'}", "either `cron` and `for`"),
        ("{name: w, cron: 'at noon', for: 2h}", "not a cron expression"),
        ("{name: w, cron: '0 0 30 2 *', for: 2h}", "not a cron expression"),
        ("{name: w, cron: '0 0 2 * * *', for: 2h}", "five fields"),
        ("{name: w, cron: '0 2 * * *', for: soon}", "not a duration"),
        ("{name: w, cron: '0 2 * * *', for: 8d}", "from 1m to 7d"),
        ("{name: w, cron: '0 2 * * *', for: 2h, zone: Europe/Bärlin}", "not a time zone"),
        ("{name: w, from: 2026-05-04 06:00, to: 2026-05-04 06:00}", "`to` must be later"),
        ("{name: w, from: 2026-05-04 06:00, to: 2026-05-04 07:00, resources: []}", "at least 1 item"),
        ("{name: w, corn: '0 2 * * *', for: 2h}", "did you mean `cron`"),
    ],
)
def test_a_window_that_could_not_be_is_refused_in_words(window: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "watchkeeper.yaml"
    path.write_text(f"maintenance: [{window}]", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=why):
        load_settings(path)


async def test_windows_by_schedule_and_by_hand_hold_together_and_the_one_that_ends_last_is_told(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    nightly = said(cron="0 11 * * *", **{"for": "2h"}, resources=["cache*"])
    by_hand = Window("mnt-1", ("docker/lab/*",), at - MINUTE, at + MINUTE * 90, "a move", "person:ada")
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        windows = Windows(store, [nightly])
        assert [w.id for w in await windows.standing(at)] == ["w"]
        await store.save(by_hand)
        assert [w.id for w in await windows.standing(at)] == ["mnt-1", "w"]
        assert (over := await windows.over(resource("cache1"), at)) is not None
        assert "a move" in over.said
        assert await windows.over(resource("orders", provider="local"), at) is None
        later = at + MINUTE * 60
        assert [w.id for w in await windows.standing(later)] == ["mnt-1"]
        await store.save(by_hand.end("person:ada", later))
        assert await windows.standing(later) == []
        assert [w.begins for w in windows.coming(later)] == [datetime(2026, 3, 2, 11, 0, tzinfo=UTC)]
