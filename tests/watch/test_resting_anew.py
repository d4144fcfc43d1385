"""What an incident rests on is written down each time it is handed to a person, not the first time alone."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from watchkeeper import resting
from watchkeeper.domain import Incident, now
from watchkeeper.store import Store

CACHE = "docker/lab/redis/cache"


@pytest.mark.parametrize(
    ("status", "rests"), [("awaiting_approval", {"maxmemory": "40"}), ("escalated", {"maxmemory": "38"})]
)
async def test_what_was_changed_before_somebody_said_no_is_no_news_after_it(
    status: Any, rests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rests_on(*_: object) -> dict[str, str]:
        return {"maxmemory": "40"}

    async def heal(incident: Incident) -> Incident:
        return replace(incident, status="escalated")

    monkeypatch.setattr(resting, "rests_on", rests_on)
    before = Incident("inc-1", "redis-memory-full", CACHE, (), now(), status=status, rests={"maxmemory": "38"})
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}") as store:
        async with store.transaction() as transaction:
            await transaction.put(replace(before, status="escalated"))
        desk = cast(Any, SimpleNamespace(writing=asyncio.Lock()))
        after = await resting.remembering(heal, store, cast(Any, None), desk)(before)
        assert after.rests == rests
        assert (await store.get(Incident, "inc-1")).rests == rests
