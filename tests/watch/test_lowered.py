"""Who tightened a limit, where somebody and a restart both did."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from watchkeeper.connectors.redis.tools import redis_set_maxmemory
from watchkeeper.domain import Event, now
from watchkeeper.overruling import _by_others
from watchkeeper.store import Store
from watchkeeper.watch.changes import OTHERS, RESTART
from watchkeeper.watch.reverted import SETTINGS

CACHE = "docker/lab/redis/cache"
LIMIT = next(limit for limit in redis_set_maxmemory.limits if limit.setting == "maxmemory")
MIB = 1 << 20


@pytest.mark.parametrize(
    ("changes", "lowered"),
    [
        ([(80, 40, OTHERS)], (80, 40)),
        ([(80, 60, OTHERS), (60, 40, OTHERS)], (80, 40)),
        ([(80, 40, OTHERS), (40, 16, RESTART)], None),
        ([(40, 16, RESTART), (16, 8, OTHERS)], (16, 8)),
    ],
)
async def test_a_restart_is_nobody_who_lowered_a_limit(
    tmp_path: Path, changes: list[tuple[int, int, str]], lowered: tuple[int, int] | None
) -> None:
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}") as store:
        for number, (before, after, by) in enumerate(changes):
            said = {"setting": "maxmemory", "before": str(before * MIB), "after": str(after * MIB)}
            event = Event(SETTINGS[0], CACHE, "", now() - timedelta(seconds=60 - number), by=by, resource=CACHE)
            async with store.transaction() as transaction:
                await transaction.emit(replace(event, data={"changes": [said], "fix": None}))
        found = await _by_others(CACHE, LIMIT, store)
    assert (found and (int(found.difference.before) // MIB, int(found.difference.after) // MIB)) == lowered
