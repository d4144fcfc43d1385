import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from tests.domain.making import CACHE, alert, reading, resource, rule
from tests.watch.fakes import Scripted, hang, well
from watchkeeper.domain import Alert, Conflict, Health, Probe, Reading, Resource, now
from watchkeeper.settings import WatchSettings
from watchkeeper.watch.watcher import Watcher

EVER = 0.0
FULL = rule("reading.used > 0.9", seconds=3600)


class Watching:
    """Watchers over a scripted connector, and what they told."""

    def __init__(self) -> None:
        self.connector = Scripted()
        self.changes: asyncio.Queue[Alert] = asyncio.Queue()
        self.record: Callable[[Alert], Alert] = lambda known: known
        self.watchers: list[Watcher] = []
        self.rules = [FULL]
        self.settings = WatchSettings(interval=0.2, quick=0.05, timeout=0.1)

    def begin(self, of: Resource = CACHE, alerts: tuple[Alert, ...] = ()) -> Watcher:
        async def changed(known: Alert) -> Alert:
            known = self.record(known)
            await self.changes.put(known)
            return known

        watcher = Watcher(of, None, self.connector, self.rules, self.settings, changed, lambda _: None)
        self.watchers.append(watcher)
        watcher.start(alerts)
        return watcher

    async def first(self, watcher: Watcher) -> Reading:
        async with asyncio.timeout(10):
            found = await watcher.next_reading(EVER)
        assert found is not None
        return found

    async def looks(self, watcher: Watcher, enough: Callable[[], bool]) -> None:
        """Wait, look by look, until it is enough."""
        async with asyncio.timeout(20):
            while not enough():
                await watcher.next_reading(asyncio.get_running_loop().time())


@pytest.fixture
async def watching() -> AsyncIterator[Watching]:
    made = Watching()
    yield made
    await asyncio.gather(*(watcher.stop() for watcher in made.watchers))


def using(used: float):
    async def look(of: Resource) -> Reading:
        return reading(of, used=used)

    return look


async def failing(of: Resource) -> Reading:
    raise OSError("connection refused")


async def test_a_reading_bears_the_resource_and_the_time_the_look_began(watching: Watching) -> None:
    began = now()
    found = await watching.first(watching.begin())
    assert found.resource == CACHE.id
    assert found.metrics == {"used": 0.5}
    assert began <= found.at <= now()


async def test_what_a_connector_raises_is_a_reading_with_an_error(watching: Watching) -> None:
    watching.connector.looks = failing
    found = await watching.first(watching.begin())
    assert (found.ok, found.error, found.metrics) == (False, "connection refused", {})


async def test_a_look_that_hangs_is_cut_off_and_told(watching: Watching) -> None:
    watching.connector.looks = hang
    found = await watching.first(watching.begin())
    assert found.error == "no answer within 0.1 s"


async def test_one_that_has_not_answered_yet_is_told_from_one_that_no_longer_does(watching: Watching) -> None:
    watching.connector.looks = hang
    silent = watching.begin()
    await watching.first(silent)
    assert silent.state == "no answer yet"

    watching.connector.looks = well
    known = watching.begin(resource("known"))
    await watching.looks(known, lambda: any(found.ok for found in known.ring))
    watching.connector.looks = hang
    await watching.looks(known, lambda: not known.ring[-1].ok)
    assert known.state == "no answer within 0.1 s"


async def test_a_look_that_hangs_slows_no_other(watching: Watching) -> None:
    async def one_hangs(of: Resource) -> Reading:
        return await (hang(of) if of.name == "stuck" else well(of))

    watching.settings = WatchSettings(interval=0.2, quick=0.05, timeout=60)
    watching.connector.looks = one_hangs
    stuck = watching.begin(resource("stuck"))
    others = [watching.begin(resource(f"r{n}")) for n in range(5)]
    for other in others:
        await watching.looks(other, lambda other=other: len(other.ring) >= 3)
    assert not stuck.ring


async def test_a_way_in_that_hangs_is_cut_off_and_told(watching: Watching) -> None:
    watching.connector.opens = hang
    found = await watching.first(watching.begin())
    assert found.error == "no answer within 0.1 s"


async def test_a_way_in_that_fails_is_tried_again(watching: Watching) -> None:
    tries: list[Resource] = []

    async def second_time(of: Resource) -> None:
        tries.append(of)
        if len(tries) == 1:
            raise OSError("no route")

    watching.connector.opens = second_time
    watcher = watching.begin()
    assert (await watching.first(watcher)).error == "no route"
    await watching.looks(watcher, lambda: watcher.last is not None and watcher.last.ok)


async def test_it_looks_quickly_while_an_alert_is_pending(watching: Watching) -> None:
    watching.settings = WatchSettings(interval=3600, quick=0.05, timeout=1)
    watching.connector.looks = using(0.99)
    watcher = watching.begin()
    await watching.looks(watcher, lambda: len(watcher.ring) >= 5)


async def test_without_anything_pending_it_keeps_its_interval(watching: Watching) -> None:
    watching.settings = WatchSettings(interval=3600, quick=0.05, timeout=1)
    calm, busy = watching.begin(resource("calm")), watching.begin(resource("busy"))
    async with busy.quickened():
        await watching.looks(busy, lambda: len(busy.ring) >= 5)
    await watching.first(calm)
    assert len(calm.ring) == 1


async def test_a_poke_makes_it_look_at_once(watching: Watching) -> None:
    watching.settings = WatchSettings(interval=3600, quick=0.05, timeout=1)
    watcher = watching.begin()
    await watching.first(watcher)
    watcher.poke()
    await watching.looks(watcher, lambda: len(watcher.ring) == 2)


async def test_a_reading_asked_for_is_never_older_than_the_question(watching: Watching) -> None:
    watcher = watching.begin()
    for _ in range(3):
        asked, at = now(), asyncio.get_running_loop().time()
        watcher.poke()
        found = await watcher.next_reading(at)
        assert found is not None
        assert found.at >= asked


async def test_whoever_waits_for_a_reading_of_what_is_gone_is_told(watching: Watching) -> None:
    watching.settings = WatchSettings(interval=0.2, quick=0.05, timeout=60)
    watching.connector.looks = hang
    watcher = watching.begin()
    waiting = asyncio.create_task(watcher.next_reading(asyncio.get_running_loop().time()))
    await asyncio.sleep(0)
    await watcher.stop()
    async with asyncio.timeout(5):
        assert await waiting is None
        assert await watcher.next_reading(asyncio.get_running_loop().time()) is None


async def test_a_look_that_does_not_let_itself_be_cancelled_still_ends(watching: Watching) -> None:
    looking = asyncio.Event()

    async def stubborn(of: Resource) -> Reading:
        looking.set()
        with suppress(asyncio.CancelledError):
            await hang(of)
        return await well(of)

    watching.settings = WatchSettings(interval=3600, quick=0.05, timeout=60)
    watching.connector.looks = stubborn
    watcher = watching.begin()
    await looking.wait()
    async with asyncio.timeout(5):
        await watcher.stop()


async def test_health_is_unknown_until_there_is_data(watching: Watching) -> None:
    watching.connector.looks = failing
    watcher = watching.begin()
    assert watcher.health is Health.UNKNOWN
    await watching.first(watcher)
    assert watcher.health is Health.UNKNOWN


async def test_what_is_off_on_purpose_is_unknown(watching: Watching) -> None:
    async def off(of: Resource) -> Reading:
        return Reading(of.id, now(), 0.0, {"used": 0.5}, state="stopped", off=True)

    watching.connector.looks = off
    watcher = watching.begin()
    await watching.first(watcher)
    assert watcher.health is Health.UNKNOWN


async def test_a_good_reading_makes_it_healthy_and_data_lost_unknown_again(watching: Watching) -> None:
    watcher = watching.begin()
    await watching.first(watcher)
    assert watcher.health is Health.HEALTHY
    watching.connector.looks = failing
    await watching.looks(watcher, lambda: watcher.health is Health.UNKNOWN)


async def test_what_fires_tells_the_health_though_data_is_missing(watching: Watching) -> None:
    watching.rules = [rule(seconds=0, health=Health.FAILED)]
    watching.connector.looks = using(0.99)
    watcher = watching.begin()
    await watching.first(watcher)
    watching.connector.looks = failing
    await watching.looks(watcher, lambda: not watcher.ring[-1].ok)
    assert watcher.health is Health.FAILED


async def test_an_alert_that_could_not_be_recorded_is_recorded_with_the_next_reading(watching: Watching) -> None:
    tries: list[Alert] = []

    def second_time(known: Alert) -> Alert:
        tries.append(known)
        if len(tries) == 1:
            raise OSError("the disk is full")
        return known.join("inc-1")

    watching.rules, watching.record = [rule(seconds=0)], second_time
    watching.connector.looks = using(0.99)
    watcher = watching.begin()
    async with asyncio.timeout(10):
        assert (await watching.changes.get()).incident == "inc-1"
    assert [known.status for known in tries] == ["firing", "firing"]
    assert watcher.alerts["full"].incident == "inc-1"


async def test_alerts_live_on_over_a_restart(watching: Watching) -> None:
    watching.connector.looks = using(0.99)
    watcher = watching.begin(alerts=(alert(incident="inc-1"),))
    await watching.first(watcher)
    assert watcher.alerts["full"] == alert(incident="inc-1")
    watching.connector.looks = using(0.1)
    async with asyncio.timeout(10):
        assert (await watching.changes.get()).status == "resolved"
    assert watcher.alerts == {}


async def test_an_alert_shows_only_while_its_condition_holds_on_the_last_reading(watching: Watching) -> None:
    watching.rules = [rule(seconds=0, clear="reading.used < 0.2")]
    watching.connector.looks = using(0.99)
    watcher = watching.begin()
    await watching.first(watcher)
    assert watcher.showing() == {watcher.alerts["full"].id}
    watching.connector.looks = using(0.5)
    await watching.looks(watcher, lambda: watcher.ring[-1].metrics.get("used") == 0.5)
    assert list(watcher.alerts) == ["full"]
    assert watcher.showing() == frozenset()


async def test_a_probe_that_hangs_has_failed(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = watching.begin()
    await watching.first(watcher)
    monkeypatch.setattr(watching.connector, "probe", hang)
    made = await watcher.probe()
    assert (made.ok, made.error) == (False, "no answer in time")


async def test_a_probe_that_raises_tells_nothing(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = watching.begin()
    await watching.first(watcher)
    monkeypatch.setattr(watching.connector, "probe", failing)
    made = await watcher.probe()
    assert (made.ok, made.error) == (None, "OSError: connection refused")


async def test_without_a_session_there_is_no_hand_and_no_proof(watching: Watching) -> None:
    watching.connector.opens = failing  # type: ignore[assignment]
    watcher = watching.begin()
    await watching.first(watcher)
    with pytest.raises(Conflict):
        _ = watcher.session
    made: Probe = await watcher.probe()
    assert made.ok is None
