"""While `only` leaves something out nobody looks at it: its incidents say from when to when."""

from dataclasses import replace
from pathlib import Path

from tests.domain.making import CACHE, after, incident
from watchkeeper.store import Store
from watchkeeper.watch.leaving import noted


async def test_an_incident_says_once_from_when_it_is_not_watched_and_from_when_it_is_again(tmp_path: Path) -> None:
    old = replace(incident(id="inc-old"), status="closed", closed_at=after(0))
    recent = replace(incident(id="inc-recent"), status="closed", closed_at=after(3500))
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}") as store:
        async with store.transaction() as transaction:
            for one in (incident(), old, recent):
                await transaction.put(one)
        for at, watched in ((3600, {CACHE.id}), (3700, set[str]()), (3800, set[str]()), (3900, {CACHE.id})):
            await noted(store, watched, after(at))
        for key in ("inc-1", "inc-recent"):
            told = await store.events(incident=key)
            assert [event.kind for event in told] == ["incident.unwatched", "incident.watched"]
            assert told[1].data["away_since"] == after(3700).isoformat()
        assert await store.events(incident="inc-old") == []
