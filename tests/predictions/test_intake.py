"""What was pushed stays the same, however it is split, ordered, repeated and kept."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.predictions import Predictions, PushBody, Shelf
from watchkeeper.predictions.buckets import DAY, HOUR, MINUTE, NARROW, Bucket, bucket, coarser
from watchkeeper.predictions.figures import merged
from watchkeeper.store import Store
from watchkeeper_monitor import Profile

NOW = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)


@pytest.fixture
async def predictions(tmp_path: Path) -> AsyncIterator[Predictions]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    async with (
        Store.open(url) as store,
        Predictions(store, timedelta(days=90), Shelf(tmp_path, 30, 1 << 30)).running() as made,
    ):
        yield made


def body(number: int, ago: float) -> PushBody:
    profile = Profile("bot", "1")
    profile.predictions = number
    profile.classes.add(f"class {number % 5}", number)
    profile.truth.judged("a", "b" if number % 2 else "a", 0.75)
    profile.latency.record(number / 1000)
    profile.seen((datetime.now(UTC) - timedelta(seconds=ago)).timestamp())
    content: dict[str, Any] = {"began": 0.0, "profile": profile.to_dict()}
    return PushBody.model_validate(content)


async def test_old_pieces_become_wider_and_hold_the_same(predictions: Predictions) -> None:
    """Of minutes, hours, and days ago; late ones, too, which come out of a spool."""
    for number, ago in enumerate((0, 10, 400, 4000, 40_000, 400_000, 401_000, 10, 5_000_000), 1):
        await predictions.take("bot", f"{number:032x}", 1, 0.0, body(number, ago))
    long_ago = datetime.now(UTC) - timedelta(days=80)
    before = await predictions.rows("bot", "1", long_ago)

    for days in (0.5, 4, 20):
        await predictions.intake.tidy(datetime.now(UTC) + timedelta(days=days))

    after = await predictions.rows("bot", "1", long_ago)
    assert {row.bucket.seconds for row in before} == {MINUTE, NARROW, HOUR, DAY}
    assert {row.bucket.seconds for row in after} == {DAY}
    assert len(after) < len(before)
    one, other = merged("bot", "1", before).to_dict(), merged("bot", "1", after).to_dict()
    assert one.pop("latency")["positive"]["buckets"] == other.pop("latency")["positive"]["buckets"]
    assert one == other


async def test_what_is_older_than_is_kept_is_forgotten(predictions: Predictions) -> None:
    await predictions.take("bot", "0" * 32, 1, 0.0, body(3, 0))

    await predictions.intake.tidy(datetime.now(UTC) + timedelta(days=92))

    assert await predictions.rows("bot", None, datetime(2020, 1, 1, tzinfo=UTC)) == []


async def test_a_push_taken_before_a_crash_is_not_taken_after_it(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    said: list[bool] = []
    for _ in range(2):
        async with (
            Store.open(url) as store,
            Predictions(store, timedelta(days=90), Shelf(tmp_path, 30, 1 << 30)).running() as made,
        ):
            said.append((await made.take("bot", "a" * 32, 1, 0.0, body(4, 0))).taken)
            assert (await made.summary("bot", None, NOW)).summary.predictions == 4

    assert said == [True, False]


@given(st.floats(0, 400 * DAY), st.floats(0, 400 * DAY))
def test_a_moment_lies_in_its_bucket_however_old_it_gets(age: float, older: float) -> None:
    at = NOW - timedelta(seconds=age)
    first = bucket(at, NOW)
    later = coarser(first, NOW + timedelta(seconds=older))

    assert first.at <= at < first.ends
    assert later.at <= first.at
    assert first.ends <= later.ends
    assert coarser(later, NOW + timedelta(seconds=older)) == later


def test_what_comes_from_the_future_counts_as_now() -> None:
    assert bucket(NOW + timedelta(days=300), NOW) == Bucket(NOW.replace(second=0), MINUTE)
