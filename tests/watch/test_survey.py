"""What needs what is asked for, remembered, and corrected by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.domain.making import resource
from tests.watch.fakes import FakeHost, Hosts, Scripted, hang
from watchkeeper.connectors import Registry
from watchkeeper.domain import Attachment, Connection, Network
from watchkeeper.settings import Settings
from watchkeeper.store import Store
from watchkeeper.watch import Fleet, survey
from watchkeeper.watch.survey import Survey

CACHE, SHOP, OTHER = (resource(n, slug=n, incarnation=n, ports=(6379,)) for n in ("cache", "shop", "other"))


class NetHost(FakeHost):
    """A host on the network `lab`, at the address and with the variables that a test says."""

    def __init__(self, name: str, address: str, *to: str, variables: Mapping[str, str] | None = None) -> None:
        super().__init__(name, variables)
        connections = tuple(Connection((address, 40000 + n), (peer, 6379)) for n, peer in enumerate(to))
        attached = Attachment("lab", (address,), (name,))
        self.stands = Network(f"ns-{name}", "m", (attached,), listening=frozenset({6379}), connections=connections)
        self.hangs = False

    async def network(self) -> Network:
        if self.hangs:
            await hang(CACHE)
        return self.stands


class Scene:
    def __init__(self, store: Store, shop: NetHost, **settings: Any) -> None:
        self.shop, self.cache, self.other = shop, NetHost("cache", "10.0.0.2"), NetHost("other", "10.0.0.3")
        self.provider = Hosts(self.shop, self.cache, self.other)
        self.store = store
        self.busy: set[str] = set()
        self.fleet = Fleet(Registry([Scripted(CACHE, SHOP, OTHER)]), Settings(**settings), [self.provider])
        self.survey = Survey(self.fleet, store, lambda _: None, lambda: self.busy)

    async def look(self) -> tuple[str, ...]:
        """What the shop needs."""
        await self.fleet.discover()
        await self.survey.look()
        return self.fleet.resources[SHOP.id].depends_on

    async def kinds(self) -> list[str]:
        return [f"{event.kind} {event.data.get('target', '')}" for event in await self.store.events()]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(migrated.url(tmp_path / "w.db")) as opened:
        yield opened


async def test_what_is_seen_becomes_a_dependency_and_is_told(store: Store) -> None:
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"))
    assert await scene.look() == (CACHE.id,)
    assert await scene.kinds() == [f"dependency.found {CACHE.id}"]
    assert await scene.look() == (CACHE.id,)
    assert len(await scene.kinds()) == 1


async def test_who_is_asked_for_at_the_address_it_had_is_known(store: Store) -> None:
    scene = Scene(store, NetHost("shop", "10.0.0.1"))
    assert await scene.look() == ()
    scene.cache.stands = replace(
        scene.cache.stands, attachments=(Attachment("lab", (), ("cache",)),), listening=frozenset()
    )
    scene.shop.stands = replace(scene.shop.stands, connections=(Connection(("10.0.0.1", 40000), ("10.0.0.2", 6379)),))
    assert await scene.look() == (CACHE.id,)  # it is stopped, and has no address
    scene.cache.stands = replace(scene.cache.stands, attachments=(Attachment("lab", ("10.0.0.9",), ("cache",)),))
    assert await scene.look() == (CACHE.id,)  # it has another one
    assert [unknown.text for unknown in scene.fleet.graph.unknown] == []
    scene.other.stands = replace(scene.other.stands, attachments=(Attachment("lab", ("10.0.0.2",), ("other",)),))
    assert OTHER.id in await scene.look()  # who has it now is meant


async def test_it_stays_over_the_next_discovery(store: Store) -> None:
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"))
    await scene.look()
    await scene.fleet.discover()
    assert scene.fleet.resources[SHOP.id].depends_on == (CACHE.id,)


async def test_an_edge_outlives_its_connections_for_a_while_and_not_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"))
    await scene.look()
    scene.shop.stands = replace(scene.shop.stands, connections=())
    assert await scene.look() == (CACHE.id,)
    monkeypatch.setattr(survey, "LASTS", timedelta(0))
    assert await scene.look() == ()
    assert (await scene.kinds())[-1] == f"dependency.lost {CACHE.id}"


async def test_an_edge_does_not_age_during_an_incident(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "LASTS", timedelta(0))
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"))
    await scene.look()
    scene.shop.stands = replace(scene.shop.stands, connections=())
    scene.busy = {CACHE.id}
    assert await scene.look() == (CACHE.id,)


async def test_what_was_known_before_a_restart_is_known_after_it(store: Store) -> None:
    await Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2")).look()
    later = Scene(store, NetHost("shop", "10.0.0.1"))
    await later.fleet.discover()
    await later.survey.recall()
    assert later.fleet.resources[SHOP.id].depends_on == (CACHE.id,)
    assert await later.look() == (CACHE.id,)


async def test_an_edge_from_the_environment_ends_with_the_variable(store: Store) -> None:
    scene = Scene(store, NetHost("shop", "10.0.0.1", variables={"CACHE_URL": "redis://cache:6379"}))
    assert await scene.look() == (CACHE.id,)
    scene.provider.found[0] = NetHost("shop", "10.0.0.1")
    assert await scene.look() == ()


async def test_a_host_that_hangs_keeps_what_was_known_and_holds_up_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_HOST_SECONDS", 0.05)
    scene = Scene(store, NetHost("shop", "10.0.0.1", variables={"CACHE_URL": "redis://cache:6379"}))
    await scene.look()
    scene.shop.hangs = True
    scene.provider.found[1] = scene.cache = NetHost("cache", "10.0.0.2", "10.0.0.3")
    assert await scene.look() == (CACHE.id,)
    assert scene.fleet.resources[CACHE.id].depends_on == (OTHER.id,)
    assert "the connections of shop cannot be told: no answer in time" in [g.text for g in scene.fleet.graph.unknown]


async def test_what_is_said_by_hand_replaces_what_is_inferred(store: Store) -> None:
    said = [{"name": "shop", "depends_on": ["other"]}]
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"), resources=said)
    assert await scene.look() == (OTHER.id,)
    (edge,) = scene.fleet.graph.edges()
    assert (edge.how, edge.evidence) == ("declared", "by hand (depends_on)")
    assert [edge.target for edge in scene.fleet.graph.overruled()] == [CACHE.id]


async def test_one_wrong_edge_is_taken_away_by_hand_and_the_rest_stays(store: Store) -> None:
    said = [{"name": "shop", "depends_on": ["!cache"]}]
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2", "10.0.0.3"), resources=said)
    assert await scene.look() == (OTHER.id,)


async def test_that_it_needs_nothing_can_be_said(store: Store) -> None:
    said = [{"name": "shop", "depends_on": []}]
    assert await Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"), resources=said).look() == ()


async def test_a_name_that_leads_nowhere_is_said(store: Store) -> None:
    scene = Scene(store, NetHost("shop", "10.0.0.1"), resources=[{"name": "shop", "depends_on": ["cahce"]}])
    await scene.look()
    assert [gap.text for gap in scene.fleet.graph.misnamed] == [
        "depends_on of shop names 'cahce', which nothing watched is called"
    ]


async def test_the_clients_a_server_lists_are_asked_for_and_joined(store: Store) -> None:
    class Listing(Scripted):
        async def clients(self, session: Any) -> list[str]:
            return ["10.0.0.1"] if session == CACHE.id else []

    scene = Scene(store, NetHost("shop", "10.0.0.1"))
    scene.fleet = Fleet(Registry([Listing(CACHE, SHOP, OTHER)]), Settings(), [scene.provider])
    scene.survey = Survey(scene.fleet, store, lambda key: key, lambda: set())
    assert await scene.look() == (CACHE.id,)
    assert {edge.how for edge in scene.fleet.graph.edges()} == {"clients"}


async def test_all_hosts_are_asked_at_the_same_time(store: Store) -> None:
    """They wait for each other: one after the other would never end."""
    scene = Scene(store, NetHost("shop", "10.0.0.1", "10.0.0.2"))
    meeting = asyncio.Barrier(3)

    def meets(host: NetHost) -> Any:
        async def network() -> Network:
            await meeting.wait()
            return host.stands

        return network

    for host in (scene.shop, scene.cache, scene.other):
        host.network = meets(host)  # pyright: ignore[reportAttributeAccessIssue]
    assert await scene.look() == (CACHE.id,)
