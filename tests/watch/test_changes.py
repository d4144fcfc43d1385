"""Changes are noticed once, told with who made them, and stand in incidents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import migrated
from tests.conftest import RedisServer, start_redis
from tests.domain.making import CACHE, fix, incident, plan, resource, step
from watchkeeper.connectors.redis import connector
from watchkeeper.domain import Event, Reading, Resource, StepRecord, now
from watchkeeper.store import Store
from watchkeeper.watch import Noticer, lately, meanwhile, told_lately
from watchkeeper.watch.reverted import set_by

CARRIER = resource("box", kind="container")
ON_IT = replace(CACHE, runs_on=CARRIER.id)
SHOP = resource("shop", kind="container", depends_on=(CACHE.id,))
OTHER = resource("other")


class Scene:
    def __init__(self, store: Store, *there: Resource) -> None:
        self.store = store
        self.there = {known.id: known for known in there or (CACHE,)}
        self.noticer = Noticer(store, lambda: self.there)

    async def look(self, of: Resource = CACHE, at: datetime | None = None, **values: str) -> None:
        self.there[of.id] = of
        self.noticer.hear(Reading(of.id, at or now(), 0.0, configuration=values))
        await self.noticer.settled()

    async def told(self) -> list[Event]:
        return [event for event in await self.store.events(limit=1000) if event.kind.startswith("change.")]


@asynccontextmanager
async def watching(store: Store, *there: Resource) -> AsyncIterator[Scene]:
    scene = Scene(store, *there)
    await scene.noticer.start()
    yield scene
    await scene.noticer.stop()


async def test_a_change_is_told_once(store: Store) -> None:
    async with watching(store) as scene:
        for value in ("0", "300", "300"):
            await scene.look(timeout=value)

        (event,) = await scene.told()
        assert event.kind == "change.config"
        assert event.text == "cache: timeout 0 → 300, not by Watchkeeper"
        assert event.by == "others"
        assert event.data["changes"] == [{"setting": "timeout", "before": "0", "after": "300"}]


async def test_what_is_seen_for_the_first_time_is_no_change(store: Store) -> None:
    async with watching(store) as scene:
        await scene.look(timeout="0", created=(now() - timedelta(days=3)).isoformat())

        assert await scene.told() == []


async def test_what_was_made_after_we_began_is_a_deploy(store: Store) -> None:
    async with watching(store) as scene:
        await scene.look(OTHER, created=(now() + timedelta(seconds=1)).isoformat())

        assert [(event.kind, event.text) for event in await scene.told()] == [("change.deploy", "other is new")]


async def test_what_changed_while_nobody_watched_is_told_at_the_next_start(store: Store) -> None:
    async with watching(store) as scene:
        await scene.look(image="shop:1", timeout="0")
    async with watching(store) as scene:
        await scene.look(image="shop:2", timeout="0")
        await scene.look(image="shop:2", timeout="5")

        assert [event.text for event in await scene.told()] == [
            "cache: image shop:1 → shop:2 (while it was not watched), not by Watchkeeper",
            "cache: timeout 0 → 5, not by Watchkeeper",
        ]


async def test_a_container_made_anew_is_one_deploy_with_all_that_differs(store: Store) -> None:
    async with watching(store, CARRIER) as scene:
        await scene.look(CARRIER, image="a", memory_bytes="1048576", started="1")
        await scene.look(replace(CARRIER, incarnation="second"), image="b", memory_bytes="2097152", started="2")

        (event,) = await scene.told()
        assert event.kind == "change.deploy"
        assert "image a → b, memory limit 1 MiB → 2 MiB" in event.text


async def test_a_restart_is_told_of_what_carries_and_not_of_what_it_carries_too(store: Store) -> None:
    async with watching(store, CARRIER, ON_IT) as scene:
        for start in ("2026-03-01T12:00:00+00:00", "2026-03-01T12:05:00+00:00"):
            await scene.look(CARRIER, started=start)
            await scene.look(ON_IT, started=start, maxmemory="8388608")

        assert [(event.kind, event.resource) for event in await scene.told()] == [("change.restart", CARRIER.id)]


async def test_what_a_fix_of_ours_changed_bears_its_name_and_its_incident(store: Store) -> None:
    record = StepRecord(0, "grow", CACHE.id, {"value": 2}, "done", 1, 2, started_at=now(), finished_at=now())
    ours = replace(fix(plan(step(value=2))), started_at=now(), finished_at=now(), steps=(record,))
    await store.save(ours)
    async with watching(store) as scene:
        await scene.look(limit="1", timeout="0")
        await scene.look(limit="2", timeout="9")

        mine, theirs = sorted(await scene.told(), key=lambda event: event.by != "loop:watchkeeper")
        assert mine.text == "cache: limit 1 → 2, by fix-1"
        assert (mine.data["fix"], mine.incident) == ("fix-1", "inc-1")
        assert theirs.text == "cache: timeout 0 → 9, not by Watchkeeper"


async def test_what_somebody_does_again_while_nobody_watches_is_not_put_down_to_the_fix_that_did_it_before(
    store: Store,
) -> None:
    record = StepRecord(0, "grow", CACHE.id, {"value": 2}, "done", 1, 2, started_at=now(), finished_at=now())
    await store.save(replace(fix(plan(step(value=2))), started_at=now(), finished_at=now(), steps=(record,)))
    async with watching(store) as scene:
        for limit in ("1", "2", "1"):
            await scene.look(limit=limit)
    async with watching(store) as scene:
        await scene.look(limit="2")

        assert [event.text for event in await scene.told()] == [
            "cache: limit 1 → 2, by fix-1",
            "cache: limit 2 → 1, not by Watchkeeper",
            "cache: limit 1 → 2 (while it was not watched), not by Watchkeeper",
        ]


async def test_what_a_restart_takes_back_of_a_fix_of_ours_nobody_has_changed(store: Store) -> None:
    """What a fix sets at run time stands in no file. What somebody else had set is theirs."""
    record = StepRecord(0, "grow", CACHE.id, {"value": 2}, "done", 1, 2, started_at=now(), finished_at=now())
    ours = replace(fix(plan(step(value=2))), started_at=now(), finished_at=now(), steps=(record,))
    async with watching(store, ON_IT, CARRIER) as scene:
        await scene.look(ON_IT, limit="1", timeout="0", started="2026-11-23T12:00:00+00:00")
        await store.save(ours)
        await scene.look(ON_IT, limit="2", timeout="0", started="2026-11-23T12:00:00+00:00")
        await scene.look(ON_IT, limit="1", timeout="0", started="2026-11-23T18:00:00+00:00")
        await scene.look(ON_IT, limit="1", timeout="9", started="2026-11-23T19:00:00+00:00")

        told = await scene.told()
        assert [event.text for event in told] == [
            "cache: limit 1 → 2, by fix-1",
            "cache: limit 2 → 1, its restart took back what fix-1 had set",
            "cache: timeout 0 → 9, not by Watchkeeper",
        ]
        assert [event.by for event in told] == ["loop:watchkeeper", "restart", "others"]


async def test_what_somebody_changes_after_our_start_is_theirs_and_what_comes_with_it_is_said_to(store: Store) -> None:
    """A file may have been edited before; and what is changed minutes later has nothing to do with the start."""
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    record = StepRecord(0, "docker_start", CARRIER.id, {}, "done", {"start_count": 1}, started_at=at, finished_at=at)
    ours = replace(fix(plan(step("docker_start", CARRIER))), started_at=at, finished_at=at, steps=(record,))
    async with watching(store, ON_IT, CARRIER) as scene:
        await scene.look(ON_IT, at - timedelta(minutes=1), timeout="0", started="2026-11-23T11:00:00+00:00")
        await store.save(ours)
        await scene.look(ON_IT, at + timedelta(seconds=1), timeout="9", started=at.isoformat())
        await scene.look(ON_IT, at + timedelta(minutes=5), timeout="60", started=at.isoformat())

        assert [event.text for event in await scene.told()] == [
            "cache: timeout 0 → 9, as fix-1 started it anew",
            "cache: timeout 9 → 60, not by Watchkeeper",
        ]


async def test_what_others_had_set_to_the_same_is_no_fix_of_ours(store: Store) -> None:
    def told(number: int, before: str, after: str, fix: str | None) -> Event:
        said: list[object] = [{"setting": "limit", "before": before, "after": after}]
        at = now() - timedelta(minutes=10 - number)
        return Event("change.config", CACHE.id, "", at, resource=CACHE.id, data={"changes": said, "fix": fix})

    await store.emit(told(0, "1", "2", "fix-1"))
    assert await set_by(store, CACHE.id, "limit", "2", now()) == "fix-1"
    await store.emit(told(1, "2", "1", None), told(2, "1", "2", None))
    assert await set_by(store, CACHE.id, "limit", "2", now()) == ""


async def test_a_change_during_an_incident_stands_in_its_time_line(store: Store) -> None:
    await store.save(incident())
    async with watching(store) as scene:
        await scene.look(timeout="0")
        await scene.look(timeout="9")

        assert [event.incident for event in await scene.told()] == ["inc-1"]


async def test_a_secret_in_a_command_is_never_kept_and_learning_it_is_no_change(store: Store) -> None:
    async with watching(store) as scene:
        await scene.look(command="serve hunter22")
        store.masker.learn("hunter22")
        await scene.look(command="serve hunter22")
        await scene.look(command="serve hunter22 --fast")

        (event,) = await scene.told()
        assert "hunter22" not in f"{event}"


async def test_what_changed_lately_is_told_of_what_it_needs_too_nearest_first(store: Store) -> None:
    async with watching(store, CACHE, SHOP, OTHER) as scene:
        for known in (CACHE, SHOP, OTHER):
            await scene.look(known, timeout="0")
        for known in (SHOP, CACHE, OTHER):
            await scene.look(known, timeout="1")
        opened = now()

        found = await lately(store, scene.there, (SHOP.id,), opened)
        assert [event.resource for event in found] == [CACHE.id, SHOP.id]
        assert told_lately(found, opened).startswith("Changed lately: cache: timeout 0 → 1, not by Watchkeeper (0")


def test_what_starts_again_and_again_hides_no_change_that_may_be_why() -> None:
    at = now()
    starts = [Event("change.restart", CACHE.id, "cache: restarted", at - timedelta(seconds=n)) for n in range(1, 6)]
    deploy = Event("change.deploy", CACHE.id, "cache was made anew: image", at - timedelta(seconds=60))

    told = "cache was made anew: image (1 min before); cache: restarted (1.0 s before, the last of 5 times)"
    assert told_lately([*starts, deploy], at) == f"Changed lately: {told}."


async def test_what_changed_the_day_before_yesterday_is_not_lately(store: Store) -> None:
    async with watching(store) as scene:
        await scene.look(timeout="0")
        await scene.look(timeout="1")

        assert await lately(store, scene.there, (CACHE.id,), now() + timedelta(hours=25)) == []
        assert told_lately([], now()) == ""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(migrated.url(tmp_path / "w.db")) as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    return start_redis(tmp_path, "--maxmemory", "8mb")


async def test_a_redis_tells_at_the_next_look_what_was_set(store: Store, server: RedisServer) -> None:
    """Against a real server: what INFO shows makes it ask for the rest at once."""
    cache = resource("real", provider="local", settings={"url": server.url})
    try:
        async with watching(store, cache) as scene, connector.connect(cache, None) as session:
            first = await connector.read(session, None)
            scene.noticer.hear(first)
            with server.client() as client:
                client.config_set("maxmemory", 12 << 20)
                client.config_set("timeout", 60)
            scene.noticer.hear(await connector.read(session, first))
            await scene.noticer.settled()

            (event,) = await scene.told()
            assert event.text == "real: maxmemory 8 MiB → 12 MiB, timeout 0 → 60, not by Watchkeeper"
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


async def test_that_somebody_stopped_it_is_told_once_and_a_restart_of_ours_is_not(store: Store) -> None:
    def look(running: bool) -> Reading:
        metrics = {"running": float(running), "stopped_on_purpose": float(not running), "ended_seconds": 0.0}
        return Reading(CARRIER.id, now(), 0.0, metrics, off=not running)

    async with watching(store, CARRIER) as scene:
        for running in (False, True, False, False):  # it was stopped before it was first seen
            scene.noticer.hear(look(running))
            await scene.noticer.settled()
        (event,) = await scene.told()
        assert (event.kind, event.text) == ("change.stop", "box: stopped on purpose, not by Watchkeeper")
        ours = fix(plan(step("docker_restart", CARRIER)), status="running")
        await store.save(ours)
        for running in (True, False):
            scene.noticer.hear(look(running))
            await scene.noticer.settled()
        assert len(await scene.told()) == 1


async def test_what_others_did_while_it_was_open_is_told_at_its_end(store: Store) -> None:
    opened = incident(SHOP, at=now() - timedelta(minutes=1), resources=(SHOP.id,))

    def event(seconds: float, text: str, by: str = "others") -> Event:
        at = opened.opened_at + timedelta(seconds=seconds)
        return Event("change.restart", CACHE.id, text, at, resource=CACHE.id, by=by)

    await store.emit(event(-9, "cache: before"), event(9, "cache: restarted"), event(19, "cache: ours", "watchkeeper"))
    assert await meanwhile(store, {known.id: known for known in (SHOP, CACHE)}, opened) == (
        "meanwhile cache: restarted",
    )
