"""What is found is watched, and what happens to it is recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.domain.making import CACHE, T0, alert, reading, resource, rule
from tests.watch.fakes import FakeHost, Hosts, Scripted, hang
from watchkeeper.connectors import Registry
from watchkeeper.domain import Alert, ConfigurationError, Reading, Resource, now
from watchkeeper.settings import Settings
from watchkeeper.store import Store
from watchkeeper.watch import Watch, lately, overridden
from watchkeeper.watch.watch import MORE_LOOKS


class Scene:
    def __init__(self, store: Store, *connectors: Scripted, hosts: Hosts | None = None, **settings: Any) -> None:
        self.url = ""
        self.store = store
        self.alerted: asyncio.Queue[Alert] = asyncio.Queue()
        self.vanished: list[str] = []
        given = {"watch": {"interval": 0.2, "quick": 0.05, "timeout": 1}} | settings
        self.hosts = hosts or Hosts()
        self.watch = Watch(Registry(connectors), Settings(**given), store, [self.hosts], self._alerted, self._vanished)

    async def _alerted(self, known: Alert) -> Alert:
        await self.store.save(known)
        await self.alerted.put(known)
        return known

    async def _vanished(self, gone: Resource) -> None:
        self.vanished.append(gone.id)


Play = Callable[..., Any]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """A running watch, stopped at the end."""

    @asynccontextmanager
    async def playing(*connectors: Scripted, **more: Any) -> AsyncIterator[Scene]:
        url = migrated.url(tmp_path / "w.db")
        async with Store.open(url) as store:
            scene = Scene(store, *connectors, **more)
            scene.url = url
            try:
                await scene.watch.start()
                yield scene
            finally:
                await scene.watch.stop()

    return playing


async def test_what_is_found_is_looked_at_and_remembered(play: Play) -> None:
    async with play(Scripted(CACHE)) as scene:
        at = await scene.watch.look((CACHE.id,))
        assert at.readings[CACHE.id].metrics == {"used": 0.5}
        assert await scene.store.resources() == [CACHE]


async def test_what_is_removed_is_let_go_and_said(play: Play) -> None:
    connector = Scripted(CACHE)
    async with play(connector) as scene:
        connector.finds = []
        await scene.watch.discover()
        assert scene.vanished == [CACHE.id]
        assert scene.watch.watchers == {}
        assert await scene.store.resources() == []
        assert [event.kind for event in await scene.store.events()] == ["resource.gone"]


async def test_a_look_at_what_is_removed_meanwhile_ends(play: Play) -> None:
    connector = Scripted(CACHE, resource("other"))
    async with play(connector, watch={"interval": 0.2, "quick": 0.05, "timeout": 60}) as scene:
        await scene.watch.look((CACHE.id,))
        connector.looks = hang
        looking = asyncio.create_task(scene.watch.look((CACHE.id,)))
        await asyncio.sleep(0)
        connector.finds = [resource("other")]
        await scene.watch.discover()
        async with asyncio.timeout(5):
            assert CACHE.id not in (await looking).readings


async def test_alerts_of_what_is_removed_are_resolved_and_it_is_told(play: Play) -> None:
    connector = Scripted(CACHE, rules=[rule("reading.used > 0.1", seconds=0)])
    async with play(connector) as scene:
        async with asyncio.timeout(10):
            fired = await scene.alerted.get()
        connector.finds = []
        await scene.watch.discover()
        assert (await scene.store.get(Alert, fired.id)).status == "resolved"
        assert [e.subject for e in await scene.store.events() if e.kind == "alert.resolved"] == [fired.id]


async def test_what_is_called_otherwise_since_the_last_start_takes_its_history_along(play: Play) -> None:
    away = resource("away", provider="ssh")
    ill = [rule("reading.used > 0.1", seconds=0)]
    async with play(Scripted(CACHE, away, rules=ill)) as scene:
        async with asyncio.timeout(10):
            fired = {alert.resource: alert for alert in (await scene.alerted.get(), await scene.alerted.get())}
    renamed = resource(CACHE.name, environment="staging")
    async with play(Scripted(renamed, rules=ill)) as scene:
        assert scene.vanished == []
        followed = await scene.store.get(Alert, fired[CACHE.id].id)
        assert (followed.status, followed.resource) == ("firing", renamed.id)
        assert scene.watch.watchers[renamed.id].alerts["full"].id == followed.id
        assert (await scene.store.get(Alert, fired[away.id].id)).status == "firing"  # its host may be away
        assert {known.id for known in await scene.store.resources()} == {renamed.id, away.id}
        (told,) = await scene.store.events(kinds=("resource.renamed",))
        assert told.text.startswith(f"cache is called {renamed.id} now, and was {CACHE.id}")
        assert [one.id for one in scene.watch.fleet.renamed] == [renamed.id]
        assert await lately(scene.store, {renamed.id: renamed}, [renamed.id], now()) == []  # of the system nothing did
        assert not await scene.store.readings(CACHE.id, since=fired[CACHE.id].pending_at, until=now())


async def test_a_container_that_was_removed_while_nobody_watched_is_gone(play: Play) -> None:
    away = resource("away")
    ill = [rule("reading.used > 0.1", seconds=0)]
    async with play(Scripted(CACHE, away, rules=ill)) as scene:
        async with asyncio.timeout(10):
            fired = {alert.resource: alert for alert in (await scene.alerted.get(), await scene.alerted.get())}
    failing = Scripted(CACHE, rules=ill)
    failing.fails = RuntimeError("the engine hangs")
    async with play(failing) as scene:
        assert scene.vanished == []  # who could not look calls nothing gone
    async with play(Scripted(CACHE, rules=ill)) as scene:
        assert scene.vanished == [away.id]
        assert (await scene.store.get(Alert, fired[away.id].id)).status == "resolved"
        assert {known.id for known in await scene.store.resources()} == {CACHE.id}


async def test_what_is_recreated_is_watched_anew_and_keeps_its_alerts(play: Play) -> None:
    connector = Scripted(CACHE, rules=[rule("reading.used > 0.1", seconds=0)])
    async with play(connector) as scene:
        async with asyncio.timeout(10):
            fired = await scene.alerted.get()
        before = scene.watch.watchers[CACHE.id]
        connector.finds = [resource(incarnation="second")]
        await scene.watch.discover()
        after = scene.watch.watchers[CACHE.id]
        assert after is not before
        assert after.alerts == {"full": fired}
        assert "resource.recreated" in [event.kind for event in await scene.store.events()]


async def test_the_log_of_what_is_recreated_is_followed(play: Play) -> None:
    hosts = Hosts(FakeHost("first"))
    connector = Scripted(CACHE)
    async with play(connector, hosts=hosts) as scene:
        second = FakeHost("second")
        hosts.found, connector.finds = [second], [resource(incarnation="second")]
        await scene.watch.discover()
        async with asyncio.timeout(5):
            await second.asked.wait()


async def test_a_host_that_vanishes_while_it_is_asked_hinders_no_other(play: Play) -> None:
    gone, here = FakeHost("gone"), FakeHost("here")
    gone.fails = OSError("no such container")
    connector = Scripted(resource("a", incarnation="gone"), resource("b", incarnation="here"))
    async with play(connector, hosts=Hosts(gone, here)) as scene:
        assert (await scene.watch.look((resource("b").id,))).readings[resource("b").id].ok


async def test_secrets_of_a_host_are_learnt_before_anything_of_it_is_stored(play: Play) -> None:
    host = FakeHost(environment={"REDIS_PASSWORD": "tulip-99", "NAME_TOKEN": "cache"})
    async with play(Scripted(resource(labels={"note": "AUTH tulip-99"})), hosts=Hosts(host)) as scene:
        (kept,) = await scene.store.resources()
        assert kept.labels == {"note": "AUTH •••"}
        assert kept.slug == "cache"
        assert scene.store.masker.text("cache is down") == "cache is down"


async def test_an_alert_of_a_rule_that_is_no_more_ends_with_the_start(play: Play, tmp_path: Path) -> None:
    async with Store.open(migrated.url(tmp_path / "w.db")) as store:
        await store.save(alert(rule="full"))
    connector = Scripted(CACHE, rules=[rule("reading.used > 0.1")])
    async with play(connector, rules={"full": {"enabled": False}}) as scene:
        await scene.watch.look((CACHE.id,))
        assert scene.watch.watchers[CACHE.id].alerts == {}
        assert [known.status for known in await scene.store.select(Alert)] == ["resolved"]


async def test_readings_before_an_incident_are_kept_from_memory_and_each_once(play: Play) -> None:
    async with play(Scripted(CACHE)) as scene:
        watcher = scene.watch.watchers[CACHE.id]
        for _ in range(4):
            await scene.watch.look((CACHE.id,))
        for _ in range(2):
            await scene.watch.keep_ring(CACHE.id, T0)
        ring = [known.at for known in watcher.ring]
    async with Store.open(scene.url) as store:
        kept = [known.at for known in await store.readings(CACHE.id, since=T0, until=now())]
    assert kept[: len(ring)] == ring
    assert len(set(kept)) == len(kept)


async def test_readings_that_could_not_be_kept_are_kept_later(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(Scripted(CACHE)) as scene:
        first = (await scene.watch.look((CACHE.id,))).readings[CACHE.id]
        await scene.watch.keep_ring(CACHE.id, T0)
        monkeypatch.setattr(scene.store, "transaction", full_disk)
        with pytest.raises(OSError, match="disk"):
            await scene.watch.keeping.write()
        monkeypatch.undo()
    async with Store.open(scene.url) as store:
        assert first.at in {known.at for known in await store.readings(CACHE.id, since=T0, until=now())}


def full_disk() -> Any:
    raise OSError("the disk is full")


async def test_settling_gives_fresh_looks_one_after_the_other(play: Play) -> None:
    async with play(Scripted(CACHE), watch={"interval": 3600, "quick": 0.05, "timeout": 1}) as scene:
        seen: list[Reading] = []
        async for at in scene.watch.settle((CACHE.id,), 3600):
            seen.append(at.readings[CACHE.id])
            if len(seen) == 4:
                break
    assert len({known.at for known in seen}) == 4
    assert seen == sorted(seen, key=lambda known: known.at)


async def test_settling_without_time_still_gives_what_a_proof_needs(play: Play) -> None:
    async with play(Scripted(CACHE)) as scene:
        assert len([at async for at in scene.watch.settle((CACHE.id,), 0.0)]) == 1 + MORE_LOOKS


# Rules and the configuration --------------------------------------------------------------------------------------


def changed(**said: Any):
    (found,) = overridden([rule()], Settings(rules={"full": said}), {"redis": reading(used=0.5)})
    return found


def test_a_rule_can_be_given_another_for_severity_and_threshold() -> None:
    found = changed(**{"for": "2m", "severity": "info", "when": "reading.used > 0.5", "clear": "reading.used < 0.4"})
    assert (found.for_seconds, found.severity, found.when.source) == (120.0, "info", "reading.used > 0.5")
    assert found.clear is not None
    assert found.clear.source == "reading.used < 0.4"


def test_a_rule_that_is_not_changed_stays() -> None:
    assert overridden([rule()], Settings(), {}) == (rule(),)


def test_a_rule_can_be_switched_off() -> None:
    assert overridden([rule()], Settings(rules={"full": {"enabled": False}}), {}) == ()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"when": "reading.usd > 0.9"}, "reading.usd"),
        ({"clear": "reading.used <"}, "not valid CEL"),
        ({"for": "4 parsecs"}, "not a duration"),
    ],
)
def test_a_change_that_could_not_work_is_refused_and_names_the_rule(said: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as problem:
        changed(**said)
    assert "full" in problem.value.what
    assert told in problem.value.what


def test_a_change_of_a_rule_there_is_not_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"`ful` \(did you mean `full`\?\)"):
        overridden([rule()], Settings(rules={"ful": {"enabled": False}}), {})
