"""What is kept of readings is not deleted for a clock that was set."""

import asyncio
from pathlib import Path

import pytest

from tests import migrated
from tests.domain.making import CACHE, after, alert, incident, reading, rule
from watchkeeper.domain.trace import MOST, Trace, trace_id
from watchkeeper.settings import WatchSettings
from watchkeeper.store import Store
from watchkeeper.watch import keeping
from watchkeeper.watch.keeping import Keeping
from watchkeeper.watch.traces import keep_traces


async def nothing_to_keep(*_: object) -> None:
    return None


@pytest.mark.parametrize(("jump", "deleted"), [(0.0, True), (30.0, True), (-7200.0, False), (9e7, False)])
async def test_nothing_is_deleted_for_a_while_after_the_clock_was_set_by_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float, deleted: bool
) -> None:
    monkeypatch.setattr(keeping, "BATCH", 0.0)
    monkeypatch.setattr(keeping, "PRUNED", 0.0)
    monkeypatch.setattr(keeping, "keep_traces", nothing_to_keep)
    asked: list[object] = []
    async with Store.open(migrated.url(tmp_path / "w.db")) as store:
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


async def test_what_the_report_on_an_incident_needs_outlives_the_readings(tmp_path: Path) -> None:
    """However often it is tidied up, and while the incident goes on."""
    of = alert(at=after(0), incident="inc-1")
    async with Store.open(migrated.url(tmp_path / "w.db")) as store:
        await store.save(incident())
        await store.save(of)
        looks = [reading(CACHE, after(second), used=second / 100, other=1.0) for second in range(-3600, 100)]
        async with store.transaction() as transaction:
            await transaction.keep_readings(looks)
        for before in (after(50), after(50), after(200)):
            await keep_traces(store, [rule()], before)
            await store.prune(readings_before=before, logs_before=before)
        kept = await store.get(Trace, trace_id("inc-1", CACHE.id))

        assert not await store.readings(CACHE.id, since=after(-9000), until=after(9000))
    assert kept.of == 1800 + 100
    assert len(kept.readings) <= MOST
    assert {name for one in kept.readings for name in one.metrics} == {"used"}
    assert [one.at for one in kept.readings] == sorted({one.at for one in kept.readings})
    assert kept.readings[-1].at == after(99)


async def test_readings_are_kept_at_full_rate_for_a_while_after_an_incident(tmp_path: Path) -> None:
    async with Store.open(migrated.url(tmp_path / "w.db")) as store:
        made = Keeping(store, WatchSettings(), lambda resource, since: [])
        made.looked(reading(CACHE, after(0)))
        made.busy.add(CACHE.id)
        for second in (1, 2):
            made.looked(reading(CACHE, after(second)))
        made.busy.discard(CACHE.id)
        made.looked(reading(CACHE, after(3)))
        assert made.waiting == 4
