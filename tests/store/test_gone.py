"""The store's own file is removed, moved away or replaced while it is in use: noticed at once, never written past."""

import shutil
from pathlib import Path

import pytest

from tests.domain.making import T0
from watchkeeper.domain import Event
from watchkeeper.store import Store, StoreAway

EVENT = Event("test", "x", "something happened", T0)


async def test_what_was_removed_is_refused_and_said_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "own" / "w.db"
    file.parent.mkdir()
    async with Store.open(f"sqlite+aiosqlite:///{file}") as store:
        store.patience = 0.0
        await store.emit(EVENT)
        shutil.rmtree(file.parent)
        with pytest.raises(StoreAway, match=rf"cannot be written: {file} is gone"):
            await store.emit(EVENT)
        assert store.problem is not None
        assert "`watchkeeper up` again" in store.problem
        assert len(await store.events()) == 1, "what was read is still there"
        assert store.problem is not None, "a read that succeeds does not make it well"


async def test_what_was_moved_away_is_written_again_once_it_is_back(tmp_path: Path) -> None:
    file = tmp_path / "w.db"
    async with Store.open(f"sqlite+aiosqlite:///{file}") as store:
        store.patience = 0.0
        file.rename(tmp_path / "aside.db")
        with pytest.raises(StoreAway):
            await store.emit(EVENT)
        (tmp_path / "aside.db").rename(file)
        await store.emit(EVENT)
        assert store.problem is None
        assert len(await store.events()) == 1


async def test_another_file_in_its_place_is_not_taken_for_it(tmp_path: Path) -> None:
    file, other = tmp_path / "w.db", tmp_path / "other.db"
    async with Store.open(f"sqlite+aiosqlite:///{other}"):
        pass
    async with Store.open(f"sqlite+aiosqlite:///{file}") as store:
        store.patience = 0.0
        other.replace(file)
        with pytest.raises(StoreAway, match="was replaced by another file"):
            await store.emit(EVENT)
    async with Store.open(f"sqlite+aiosqlite:///{file}") as fresh:
        assert await fresh.events() == []
