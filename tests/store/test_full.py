"""A disk that is full under the database: said, survived, and over by itself when there is room again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disk import mounted, to_the_last_byte
from tests.domain.making import T0
from watchkeeper.domain import Event
from watchkeeper.store import Store, StoreAway


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    with mounted(tmp_path / "small", "2m") as place:
        yield place


def fill(place: Path) -> Path:
    ballast = place / "ballast"
    to_the_last_byte(ballast)
    return ballast


async def many(store: Store) -> None:
    for number in range(2, 100):
        await store.emit(event(number))


def event(number: int) -> Event:
    return Event("test", "x", f"{number} " + "x" * 20_000, T0)


async def test_what_cannot_be_written_is_refused_and_said_and_written_again_when_there_is_room(
    small_disk: Path,
) -> None:
    async with Store.open(f"sqlite+aiosqlite:///{small_disk / 'w.db'}") as store:
        store.patience = 0.0
        await store.emit(event(1))
        ballast = fill(small_disk)
        with pytest.raises(StoreAway, match="cannot be written: database or disk is full"):
            await many(store)
        assert store.problem is not None
        assert "Make room" in store.problem
        before = len(await store.events(limit=1000))

        waits = asyncio.create_task(store.patiently().emit(event(1000)))
        await asyncio.sleep(0)
        ballast.unlink()
        async with asyncio.timeout(30):
            await waits
        assert store.problem is None
        kept = await store.events(limit=1000)
        assert len(kept) == before + 1, "what was refused was not written in part"
        assert kept[-1].text.startswith("1000 ")
