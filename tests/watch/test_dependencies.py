"""Facts in, edges out: what needs what, and what cannot be known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import resource
from watchkeeper.domain import Attachment, Connection, Network, Resource
from watchkeeper.hosts.mentions import Mention, mentions
from watchkeeper.watch.dependencies import Found, Place, infer

GATEWAY = "172.18.0.1"
MACHINE = "boot:net:[1]"


def container(name: str, address: str, *, network: str = "shop", listens: Sequence[int] = (), **more: object) -> Place:
    """A container on a bridge; `redis=6379` puts a service on it."""
    box = resource(name, kind="container", slug=f"{name}-box")
    services = tuple(
        resource(name, kind=kind, slug=name, runs_on=box.id, ports=(port,))
        for kind, port in more.items()
        if isinstance(port, int)
    )
    given_: Mapping[str, object] = {k: v for k, v in more.items() if not isinstance(v, int)}
    return Place(
        (*services, box),
        Network(
            namespace=f"boot:net:[{name}]",
            machine=MACHINE,
            attachments=(Attachment(network, (address,), (name,), (GATEWAY,)),),
            listening=frozenset({*listens, *(p for s in services for p in s.ports)}),
            published=given_.get("published", {}),  # pyright: ignore[reportArgumentType]
        ),
        variables=given_.get("variables", {}),  # pyright: ignore[reportArgumentType]
        clients=given_.get("clients", {}),  # pyright: ignore[reportArgumentType]
    )


def talking(place: Place, *connections: tuple[str, int, str, int], established: bool = True) -> Place:
    made = tuple(Connection((a, b), (c, d), established) for a, b, c, d in connections)
    return replace(place, network=replace(place.network, connections=made))


def edges(*places: Place, own: Network | None = None) -> set[tuple[str, str, str]]:
    slugs = {r.id: r.slug for place in places for r in place.resources}
    return {(slugs[f.source], f.how, slugs[f.target]) for f in infer(places, own)[0]}


def unknown(*places: Place, own: Network | None = None) -> list[str]:
    return [gap.text for gap in infer(places, own)[1]]


SHOP = container("shop", "172.18.0.3", listens=(8000,))
CACHE = container("cache", "172.18.0.2", redis=6379)
CACHE_KEY, CACHE_BOX = CACHE.resources[0].id, CACHE.resources[1].id


def test_a_connection_to_a_service_is_an_edge_to_it_and_not_to_its_container() -> None:
    shop = talking(SHOP, ("172.18.0.3", 40000, "172.18.0.2", 6379))
    assert edges(shop, CACHE) == {("shop-box", "connections", "cache")}


def test_a_connection_seen_only_by_the_server_is_the_same_edge() -> None:
    cache = talking(CACHE, ("172.18.0.2", 6379, "172.18.0.3", 40000))
    assert edges(SHOP, cache) == {("shop-box", "connections", "cache")}


def test_both_ends_of_one_connection_are_counted_once() -> None:
    shop = talking(SHOP, ("172.18.0.3", 40000, "172.18.0.2", 6379))
    cache = talking(CACHE, ("172.18.0.2", 6379, "172.18.0.3", 40000))
    (found,) = infer([shop, cache])[0]
    assert found.evidence == "1 connection to 172.18.0.2:6379"


def test_who_only_connects_for_a_moment_is_seen_too() -> None:
    shop = talking(SHOP, ("172.18.0.3", 40000, "172.18.0.2", 6379), established=False)
    (found,) = infer([shop, CACHE])[0]
    assert found.evidence == "short connections to 172.18.0.2:6379"


def test_an_edge_leads_from_the_client_to_the_server_and_never_back() -> None:
    shop = talking(SHOP, ("172.18.0.3", 8000, "172.18.0.4", 50000))
    web = talking(container("web", "172.18.0.4"), ("172.18.0.4", 50000, "172.18.0.3", 8000))
    assert edges(shop, web) == {("web-box", "connections", "shop-box")}


def test_another_port_of_a_services_container_is_the_containers() -> None:
    cache = replace(CACHE, network=replace(CACHE.network, listening=frozenset({6379, 9121})))
    scraper = talking(container("scraper", "172.18.0.9"), ("172.18.0.9", 40000, "172.18.0.2", 9121))
    assert edges(scraper, cache) == {("scraper-box", "connections", "cache-box")}


def test_the_servers_own_list_of_clients_is_a_third_source() -> None:
    cache = replace(CACHE, clients={CACHE_KEY: ["172.18.0.3", "172.18.0.3", "127.0.0.1"]})
    assert edges(SHOP, cache) == {("shop-box", "clients", "cache")}


def test_our_own_connections_are_no_edge() -> None:
    us = container("watchkeeper", "172.18.0.8")
    ours = ("172.18.0.8", 40000, "172.18.0.2", 6379)
    own = Network(connections=(Connection(ours[:2], ours[2:]),), attachments=us.network.attachments)
    cache = talking(CACHE, ("172.18.0.2", 6379, "172.18.0.8", 40000))
    assert edges(talking(us, ours), cache, own=own) == set()


def test_what_comes_through_nat_is_said_and_never_guessed() -> None:
    cache = replace(CACHE, clients={CACHE_KEY: [GATEWAY] * 3 + ["172.18.0.3"]})
    assert edges(SHOP, cache) == {("shop-box", "clients", "cache")}
    (said,) = unknown(SHOP, cache)
    assert said.startswith(f"3 clients of cache come through {GATEWAY} (NAT)")
    assert "cannot be known" in said


def test_nat_whose_clients_are_known_from_their_own_end_is_no_riddle() -> None:
    cache = container("cache", "172.18.0.2", redis=6379, published={("127.0.0.1", 6400): 6379})
    cache = replace(cache, clients={cache.resources[0].id: [GATEWAY, GATEWAY]})
    worker = Place(
        (resource("worker", kind="process", slug="worker"),),
        Network(
            namespace=MACHINE,
            connections=tuple(Connection(("127.0.0.1", p), ("127.0.0.1", 6400)) for p in (50001, 50002)),
        ),
    )
    assert edges(worker, cache) == {("worker", "connections", "cache")}
    assert unknown(worker, cache) == []


def test_our_own_way_through_a_published_port_is_not_called_a_client() -> None:
    web = container("web", "172.18.0.4", listens=(80,), published={("127.0.0.1", 8080): 80})
    web = talking(web, ("172.18.0.4", 80, GATEWAY, 44444))
    own = Network(namespace=MACHINE, connections=(Connection(("127.0.0.1", 50000), ("127.0.0.1", 8080)),))
    assert unknown(web, own=own) == []
    assert len(unknown(web)) == 1


def test_a_published_port_is_found_through_the_gateway() -> None:
    cache = container("cache", "172.19.0.2", network="other", redis=6379, published={("0.0.0.0", 6400): 6379})
    shop = talking(SHOP, ("172.18.0.3", 40000, GATEWAY, 6400))
    assert edges(shop, cache) == {("shop-box", "connections", "cache")}


LOCAL = Place(
    (resource("local", slug="local", ports=(6391,)),),
    Network(
        namespace=MACHINE,
        machine=MACHINE,
        attachments=(Attachment("", ("10.0.0.9", GATEWAY), ("box",)),),
        listening=frozenset({6391}),
    ),
)


def test_an_address_of_a_machine_is_nobodys_in_particular() -> None:
    """On a machine many listen whom nobody watches: a port that none of those watched has names none of them."""
    for said in (f"https://{GATEWAY}:8000", f"redis://{GATEWAY}:6379", f"http://{GATEWAY}", "tcp://10.0.0.9:4000"):
        for there in (LOCAL, replace(LOCAL, network=replace(LOCAL.network, listening=frozenset()))):
            assert edges(replace(SHOP, variables={"UPSTREAM": said}), there) == set(), said
    assert edges(replace(SHOP, variables={"SOME_HOST": GATEWAY}), LOCAL) == set()


def test_what_has_the_port_at_a_machines_address_is_meant_also_while_it_does_not_listen() -> None:
    shop = replace(SHOP, variables={"CACHE_URL": f"redis://{GATEWAY}:6391"})
    stopped = replace(LOCAL, network=replace(LOCAL.network, listening=frozenset()))
    assert edges(shop, LOCAL) == edges(shop, stopped) == {("shop-box", "environment", "local")}
    usual = replace(LOCAL, resources=(resource("local", slug="local", ports=(6379,)),))
    assert edges(replace(SHOP, variables={"REDIS_HOST": "10.0.0.9"}), usual) == {("shop-box", "environment", "local")}


def test_who_sends_to_watchkeeper_itself_is_not_said_to_talk_to_a_stranger() -> None:
    own = Network(namespace=MACHINE, listening=frozenset({8000}))
    shop = talking(SHOP, ("172.18.0.3", 40000, GATEWAY, 8000))
    beside = replace(LOCAL, network=replace(LOCAL.network, connections=(Connection(("::1", 40000), ("::1", 8000)),)))
    assert unknown(shop, beside, own=own) == []
    assert unknown(shop) == [f"shop-box talks to {GATEWAY}:8000, which nothing watched here is"]


def test_processes_on_one_machine_meet_on_its_loopback() -> None:
    api = Place(
        (resource("api", kind="process", slug="api"),),
        Network(namespace=MACHINE, connections=(Connection(("127.0.0.1", 40000), ("127.0.0.1", 6379)),)),
    )
    cache = Place(
        (resource("redis", slug="redis", ports=(6379,)),), Network(namespace=MACHINE, listening=frozenset({6379}))
    )
    assert edges(api, cache) == {("api", "connections", "redis")}


def test_the_loopback_of_one_container_is_not_that_of_another() -> None:
    shop = talking(SHOP, ("127.0.0.1", 40000, "127.0.0.1", 6379))
    assert edges(shop, CACHE) == set()


def test_the_same_address_on_another_network_is_another_host() -> None:
    far = container("cache", "172.18.0.2", network="elsewhere", redis=6379)
    far = replace(far, network=replace(far.network, machine="another machine"))
    shop = talking(SHOP, ("172.18.0.3", 40000, "172.18.0.2", 6379))
    assert edges(shop, far) == set()
    assert unknown(shop, far) == ["shop-box talks to 172.18.0.2:6379, which nothing watched here is"]


def test_a_variable_names_a_server_by_its_alias_on_a_shared_network() -> None:
    shop = replace(SHOP, variables={"CACHE_URL": "redis://:secret@cache:6379/0"})
    assert edges(shop, CACHE) == {("shop-box", "environment", "cache")}
    assert infer([shop, CACHE])[0][0].evidence == "CACHE_URL names cache:6379"


def test_the_same_alias_in_another_project_is_another_server() -> None:
    other = container("cache", "172.30.0.2", network="other", redis=6379)
    other = replace(other, resources=tuple(replace(r, id=f"{r.id}-2", slug=f"{r.slug}-2") for r in other.resources))
    shop = replace(SHOP, variables={"CACHE_URL": "redis://cache"})
    assert edges(shop, other, CACHE) == {("shop-box", "environment", "cache")}


def test_an_image_tag_that_looks_like_a_server_is_none() -> None:
    shop = replace(SHOP, variables={"CACHE_IMAGE": "cache:7"})
    assert edges(shop, CACHE) == set()


def test_a_password_that_happens_to_be_a_name_is_no_edge() -> None:
    shop = replace(SHOP, variables={"POSTGRES_USER": "cache", "PASSWORD": "cache"})
    assert edges(shop, CACHE) == set()


def test_a_store_that_nothing_watched_is_is_said() -> None:
    shop = replace(SHOP, variables={"DB": "postgresql://u:p@db.example.com/x", "DOCS": "https://example.com"})
    assert unknown(shop) == ["shop-box is told of db.example.com (DB), which nothing watched here is"]


def test_a_server_named_by_its_url_is_found_by_address_and_by_name() -> None:
    remote = resource("remote", provider="remote", slug="remote", ports=(6379,))
    place = Place(
        (remote,), Network(attachments=(Attachment("", ("10.0.0.5",), ("cache.corp",)),), listening=frozenset({6379}))
    )
    by_address = talking(SHOP, ("172.18.0.3", 40000, "10.0.0.5", 6379))
    by_name = replace(SHOP, variables={"REDIS_HOST": "cache.corp"})
    assert edges(by_address, place) == {("shop-box", "connections", "remote")}
    assert edges(by_name, place) == {("shop-box", "environment", "remote")}


def test_whose_connections_cannot_be_told_is_said() -> None:
    blind = replace(SHOP, network=replace(SHOP.network, unknown="it has no `cat`"))
    assert unknown(blind) == ["the connections of shop-box cannot be told: it has no `cat`"]


def test_which_of_several_services_without_a_carrier_is_the_client_is_not_guessed() -> None:
    two = Place(
        (resource("a", slug="a"), resource("b", slug="b")),
        Network(attachments=(Attachment("shop", ("172.18.0.7",)),), listening=frozenset({1})),
    )
    two = talking(two, ("172.18.0.7", 40000, "172.18.0.2", 6379))
    assert edges(two, CACHE) == set()
    assert unknown(two, CACHE) == ["cache is needed by one of a, b: which cannot be told"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("redis://cache:6380/0", [("cache", 6380)]),
        ("rediss://:p%40ss@cache", [("cache", 6379)]),
        ("postgresql+asyncpg://u:p@db/shop", [("db", 5432)]),
        ("jdbc:postgresql://db:5433/shop", [("db", 5433)]),
        ("mongodb://u:p@a:27017,b:27018/x?replicaSet=r", [("a", 27017), ("b", 27018)]),
        ("host=db port=5433 user=x password=y", [("db", 5433)]),
        ("u:p@tcp(db:3307)/shop", [("db", 3307)]),
        ("broker-1:9092,broker-2:9092", [("broker-1", 9092), ("broker-2", 9092)]),
        ("http://[fd00::7]:8080/x", [("fd00::7", 8080)]),
        ("just some text", []),
        ("12:30:59", []),
        ("", []),
    ],
)
def test_servers_are_read_from_the_usual_ways_to_write_them(value: str, expected: list[tuple[str, int]]) -> None:
    assert [(m.host, m.port) for m in mentions({"X": value})] == expected


def test_a_host_and_its_port_are_read_from_two_variables() -> None:
    assert mentions({"CACHE_HOST": "cache", "CACHE_PORT": "6380"}) == [Mention("CACHE_HOST", "cache", 6380)]


def test_what_is_set_for_every_service_there_is_says_nothing() -> None:
    assert mentions({"CACHE_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "abc"}) == []


words = st.text(st.sampled_from("abcxyz0189-"), min_size=1, max_size=8).map(lambda t: f"n{t}n")


@given(st.dictionaries(st.text(min_size=1), st.text()), st.text(min_size=6))
def test_nothing_but_host_and_port_is_ever_taken_from_a_value(variables: dict[str, str], secret: str) -> None:
    """Whatever a value is, the password of a URL never shows."""
    told = mentions(variables | {"URL": f"redis://user:{''.join(c for c in secret if c.isalnum())}SECRET@cache:1/0"})
    assert all("SECRET" not in f"{m.host}" for m in told)


@st.composite
def labs(draw: st.DrawFn) -> tuple[list[Place], dict[str, str]]:
    """Containers that talk to each other, and another name for each."""
    names = draw(st.lists(words, min_size=2, max_size=6, unique=True))
    others = draw(st.lists(words.map(lambda w: f"r{w}"), min_size=len(names), max_size=len(names), unique=True))
    address = {name: f"172.18.0.{number + 2}" for number, name in enumerate(names)}
    places: list[Place] = []
    for name in names:
        place = container(name, address[name], listens=(8000,))
        to = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
        place = talking(place, *((address[name], 40000 + n, address[other], 8000) for n, other in enumerate(to)))
        told = draw(st.sampled_from([*names, ""]))
        places.append(replace(place, variables={"UPSTREAM": f"http://{told}:8000"} if told else {}))
    return places, dict(zip(names, others, strict=True))


def renamed(place: Place, to: Mapping[str, str]) -> Place:
    def key(known: Resource) -> Resource:
        kind, name = known.id.rsplit("/", 2)[1:]
        return resource(to[name], kind=kind, slug=f"{to[name]}-box")

    (attached,) = place.network.attachments
    return replace(
        place,
        resources=tuple(map(key, place.resources)),
        network=replace(place.network, attachments=(replace(attached, names=tuple(to[n] for n in attached.names)),)),
        variables={k: f"http://{to[v[7:-5]]}:8000" for k, v in place.variables.items()},
    )


@given(labs())
def test_renaming_everything_changes_nothing(made: tuple[list[Place], dict[str, str]]) -> None:
    places, to = made
    back = {resource(new, kind="container").id: resource(old, kind="container").id for old, new in to.items()}

    def plain(found: Sequence[Found]) -> set[tuple[str, str, str]]:
        return {(back.get(f.source, f.source), back.get(f.target, f.target), f.how) for f in found}

    assert plain(infer([renamed(place, to) for place in places])[0]) == plain(infer(places)[0])


@given(labs(), st.randoms(use_true_random=False))
def test_the_order_of_the_facts_does_not_matter(made: tuple[list[Place], dict[str, str]], chance) -> None:
    shuffled = list(made[0])
    chance.shuffle(shuffled)
    assert infer(shuffled)[0] == infer(made[0])[0]


@given(labs())
def test_nothing_ever_needs_itself(made: tuple[list[Place], dict[str, str]]) -> None:
    assert all(found.source != found.target for found in infer(made[0])[0])
