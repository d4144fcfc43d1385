import random
import re
from typing import Any

import pytest

from tests.domain.making import resource
from tests.watch.fakes import FakeHost, Hosts, Scripted
from watchkeeper.connectors import Registry
from watchkeeper.domain import NotFound, Resource
from watchkeeper.settings import Settings
from watchkeeper.watch import Fleet


def fleet(*connectors: Scripted, providers: tuple[Hosts, ...] = (), **settings: Any) -> Fleet:
    return Fleet(Registry(connectors), Settings(**settings), providers)


async def slugs(of: Fleet) -> dict[str, str]:
    return {key: found[0].slug for key, found in (await of.discover()).items()}


def cache(name: str, slug: str = "cache", **more: Any) -> Resource:
    return resource(name, slug=slug, **more)


async def test_slugs_are_unique() -> None:
    found = await slugs(fleet(Scripted(*(cache(f"shop-{n}") for n in range(12)))))
    assert len(set(found.values())) == 12


async def test_a_slug_is_never_a_word_of_the_api() -> None:
    found = await slugs(fleet(Scripted(*(cache(word, slug=word) for word in ("status", "map", "new", "all")))))
    assert not {"status", "map", "new", "all"} & set(found.values())
    assert len(set(found.values())) == 4


async def test_a_slug_fits_into_a_path() -> None:
    found = await slugs(fleet(Scripted(cache("a"), cache("eu/Main Cache"), cache("Überall", environment="staging"))))
    assert all(re.fullmatch(r"[\w.-]+", slug) for slug in found.values()), found


async def test_slugs_do_not_depend_on_the_order_of_finding() -> None:
    all_of_them = [cache(f"shop-{n}") for n in range(5)]
    expected = await slugs(fleet(Scripted(*all_of_them)))
    for seed in range(3):
        shuffled = random.Random(seed).sample(all_of_them, 5)
        assert await slugs(fleet(Scripted(*shuffled))) == expected


async def test_a_slug_stays_when_others_come_and_go() -> None:
    connector = Scripted(cache("b"), cache("c"))
    watched = fleet(connector)
    first = await slugs(watched)
    connector.finds = [cache("a"), cache("b"), cache("c")]
    second = await slugs(watched)
    connector.finds = [cache("c")]
    third = await slugs(watched)
    assert first.items() <= second.items()
    assert third == {cache("c").id: first[cache("c").id]}


async def test_a_resource_is_found_by_id_and_by_slug_and_the_nearest_is_named() -> None:
    watched = fleet(Scripted(cache("shop-cache")))
    await watched.discover()
    assert watched.resource("cache") is watched.resource(cache("shop-cache").id)
    with pytest.raises(NotFound, match="did you mean 'cache'"):
        watched.resource("cahce")


async def test_the_configuration_permits_and_forbids_acting() -> None:
    watched = fleet(
        Scripted(cache("a", "a", may_act=False), cache("b", "b", may_act=True)),
        resources=[{"name": "a", "act": True}, {"name": "b", "act": False}],
    )
    await watched.discover()
    assert watched.resource("a").may_act
    assert not watched.resource("b").may_act


async def test_what_is_not_named_keeps_what_it_brought() -> None:
    watched = fleet(Scripted(cache("a", "a", may_act=False)), resources=[{"name": "b", "act": True}])
    await watched.discover()
    assert watched.resource("a") == cache("a", "a", may_act=False)


async def test_a_name_of_another_kind_does_not_match() -> None:
    watched = fleet(
        Scripted(cache("a", "a", may_act=False)), resources=[{"name": "a", "kind": "postgres", "act": True}]
    )
    await watched.discover()
    assert not watched.resource("a").may_act


async def test_settings_and_credentials_come_from_the_configuration() -> None:
    watched = fleet(
        Scripted(cache("a", "a", settings={"x": "1", "y": "2"})),
        resources=[{"name": "a", "settings": {"y": "3"}, "password": "env:PW", "username": "ada"}],
    )
    await watched.discover()
    assert watched.resource("a").settings == {"x": "1", "y": "3", "password": "env:PW", "username": "ada"}


async def test_an_ignored_resource_is_not_watched() -> None:
    found = await slugs(fleet(Scripted(cache("a", "a"), cache("b", "b")), resources=[{"name": "a", "ignore": True}]))
    assert list(found) == [cache("b").id]


@pytest.mark.parametrize("pattern", ["a", "docker/lab/redis/a", "sho?", "docker/*/redis/a"])
async def test_only_what_matches_is_watched(pattern: str) -> None:
    labels = {"com.docker.compose.project": "shop"}
    watched = fleet(Scripted(cache("a", "a", labels=labels), cache("b", "b")), only=[pattern])
    found = await slugs(watched)
    assert {name for _, _, name in watched.left_out} == {"b"}  # there, and not gone
    assert list(found) == [cache("a").id]


async def test_an_environment_from_the_configuration_becomes_part_of_the_id() -> None:
    watched = fleet(Scripted(cache("a", "a")), resources=[{"name": "a", "environment": "staging"}])
    await watched.discover()
    assert watched.resource("a").id == "docker/staging/redis/a"
    assert watched.resource("a").environment == "staging"


async def test_a_service_still_runs_on_a_container_that_was_given_another_environment() -> None:
    box = resource("box", kind="container", slug="box")
    services = Scripted(cache("a", "a", runs_on=box.id))
    containers = Scripted(box, kind="container")
    watched = fleet(services, containers, resources=[{"name": "box", "environment": "staging"}])
    await watched.discover()
    assert watched.resource("a").runs_on == watched.resource("box").id == "docker/staging/container/box"


async def test_dependencies_named_by_slug_lead_to_the_resource() -> None:
    watched = fleet(
        Scripted(cache("a", "a"), cache("b", "b"), cache("c", "c")),
        resources=[{"name": "a", "depends_on": ["b", cache("c").id]}],
    )
    await watched.discover()
    assert watched.resource("a").depends_on == (cache("b").id, cache("c").id)


async def test_a_connector_that_fails_is_named_and_loses_nothing() -> None:
    bad, good = Scripted(cache("a", "a")), Scripted(resource("q", kind="queue"), kind="queue")
    watched = fleet(bad, good)
    before = await watched.discover()
    bad.finds, bad.fails = [], RuntimeError("no answer")
    good.finds.append(resource("r", kind="queue"))
    after = await watched.discover()
    assert set(after) == {*before, resource("r", kind="queue").id}
    assert watched.problems == {"redis": "RuntimeError: no answer"}
    bad.fails = None
    assert cache("a").id not in await watched.discover()
    assert watched.problems == {}


async def test_when_a_provider_cannot_look_nothing_on_its_hosts_is_called_gone() -> None:
    connector, hosts = Scripted(cache("a", "a")), Hosts(FakeHost())
    watched = fleet(connector, providers=(hosts,))
    assert (await watched.discover())[cache("a").id][1] is hosts.found[0]
    connector.finds, hosts.found, hosts.problem = [], [], "the engine is away"
    assert list(await watched.discover()) == [cache("a").id]
    assert watched.problems == {"Hosts": "the engine is away"}
    hosts.problem = None
    assert await watched.discover() == {}


async def test_a_provider_that_raises_is_told_and_hinders_no_other() -> None:
    class Broken(Hosts):
        async def hosts(self) -> list[Any]:
            raise OSError("no socket")

    watched = fleet(Scripted(cache("a", "a")), providers=(Broken(), Hosts(FakeHost())))
    assert list(await watched.discover()) == [cache("a").id]
    assert watched.problems == {"Broken": "OSError: no socket"}


async def test_a_connector_is_told_what_the_configuration_names_of_its_kind() -> None:
    connector = Scripted()
    await fleet(connector, resources=[{"name": "x", "kind": "redis"}, {"name": "y", "kind": "queue"}]).discover()
    assert [said["name"] for said in connector.settings["resources"]] == ["x"]
