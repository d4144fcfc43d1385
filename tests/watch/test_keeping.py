"""What is kept of readings is not deleted for a clock that was set."""

import asyncio
from pathlib import Path

import pytest

from watchkeeper.settings import WatchSettings
from watchkeeper.store import Store
from watchkeeper.watch import keeping
from watchkeeper.watch.keeping import Keeping


@pytest.mark.parametrize(("jump", "deleted"), [(0.0, True), (30.0, True), (-7200.0, False), (9e7, False)])
async def test_nothing_is_deleted_for_a_while_after_the_clock_was_set_by_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float, deleted: bool
) -> None:
    monkeypatch.setattr(keeping, "BATCH", 0.0)
    monkeypatch.setattr(keeping, "PRUNED", 0.0)
    asked: list[object] = []
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'w.db'}") as store:
        made = Keeping(store, WatchSettings(), lambda resource, since: [])

        async def prune(**before: object) -> tuple[int, int]:
            asked.append(before)
            return (0, 0)

        monkeypatch.setattr(store, "prune", prune)
        task = asyncio.create_task(made.run())
        await asyncio.sleep(0)  # it has begun
        made.clock_moved(jump)
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert bool(asked) is deleted
