"""What a Redis is part of: Sentinels, a cluster, replicas; and what slows it down or makes it forget."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from redis_fixtures import Connect, MakeServer, ProcessHost, Server, free_port

from watchkeeper.connectors.redis import access, connector, hits, slow, tools
from watchkeeper.connectors.redis.part import Part, healers, suffix
from watchkeeper.connectors.redis.sentinel import connector as sentinel
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.slow import redis_end_client, shape
from watchkeeper.connectors.redis.watches import Place, Watched, Watches
from watchkeeper.domain import Reading, Refused, Resource
from watchkeeper.domain.healer import fights

PATIENCE = 60.0


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def looks_until(
    session: RedisSession, wanted: Callable[[Reading], bool], last: Reading | None = None, *due: str
) -> Reading:
    """Look again and again, also at what is looked at seldom, until it is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for what in due:
                session.soon(what)
            last = await connector.read(session, last)
            if wanted(last):
                return last
            await asyncio.sleep(0.05)


# Sentinel -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "found", "port"),
    [
        ("redis-server *:26380 [sentinel]", True, 26380),
        ("redis-sentinel *:26379 [sentinel]", True, 26379),
        ("redis-server /etc/sentinel.conf --sentinel", True, 26379),
        ("docker-entrypoint.sh redis-sentinel /conf --port 5000", True, 5000),
        ("redis-server *:6379", False, 26379),
        ("vim sentinel.conf --sentinel", False, 26379),
    ],
)
def test_a_sentinel_is_not_taken_for_a_store(command: str, found: bool, port: int) -> None:
    assert access.is_sentinel([command]) is found
    assert access.is_server([command]) is (command == "redis-server *:6379")
    assert access.sentinel_port([command]) == port


async def test_a_lone_sentinel_tells_what_it_watches_and_that_it_could_not_fail_over(
    server: MakeServer, connect: Connect, tmp_path: Path
) -> None:
    primary, port = await server(), free_port()
    conf = tmp_path / "sentinel.conf"
    conf.write_text(
        f"sentinel monitor carts 127.0.0.1 {primary.port} 2\nsentinel down-after-milliseconds carts 60000\n"
    )
    command = ["redis-server", str(conf), "--sentinel", "--port", str(port), "--dir", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        url = {"url": f"redis://127.0.0.1:{port}"}
        async with sentinel.connect(
            Resource("local/lab/sentinel/s1", "s1", may_act=True, settings=url), None
        ) as session:
            async with asyncio.timeout(PATIENCE):
                seen = await sentinel.read(session, None)
                while not seen.ok:
                    seen = await sentinel.read(session, seen)
            assert set(seen.metrics) | {"up"} == set(sentinel.sample.metrics)
            assert set(seen.facts) <= set(sentinel.sample.facts)
            assert (seen.metrics["primaries"], seen.metrics["quorum_ok"]) == (1, 0)
            assert "carts at 127.0.0.1" in seen.state
            fired = {rule.id for rule in sentinel.rules if rule.when.holds(seen.scope())}
            assert fired == {"sentinel-quorum-lost"}
            assert (await sentinel.probe(session)).ok is False
            refused = sentinel.tools[1].refusal(seen, {"master": "carts"})
            assert "Too few Sentinels" in (refused or "")

        store = connect(primary)
        reading = await looks_until(store, lambda seen: seen.metrics.get("sentinels") == 1, None, "sentinels")
        assert firing(reading) == set()
        assert store.part.place is not None
        assert [healer.wait for healer in connector.healers(store)] == [240.0]  # its own 60 s and 180 s

        mistaken = connect(primary, bare=True, url=f"redis://127.0.0.1:{port}")
        assert "name it with `kind: sentinel`" in ((await connector.read(mistaken, None)).error or "")
    finally:
        process.kill()
        await process.wait()


WATCHED = Watched("carts", ("10.0.0.5", 6379), "a" * 40, ((("10.0.0.6", 6379), "b" * 40),), 1, 3, 2, True, 30, 180, 4)


def test_a_healthy_primary_is_not_restarted_before_another_has_taken_over() -> None:
    part = Part(answers=True, place=Place(WATCHED, primary=True))
    assert "fail over first" in (fights(tools.redis_restart, healers(part)) or "")
    assert fights(tools.redis_script_kill, healers(part)) is None
    for harmless in (
        replace(part, answers=False),
        replace(part, replica=True),
        replace(part, place=Place(replace(WATCHED, good_replicas=0), primary=True)),
        replace(part, place=Place(WATCHED, primary=False)),
    ):
        assert fights(tools.redis_restart, healers(harmless)) is None


def test_a_replica_that_is_gone_is_waited_for_by_nobody() -> None:
    gone = Reading("r", sentinel.sample.at, 0.0, {"up": 0.0})
    assert [h.waited_for(gone) for h in healers(Part(place=Place(WATCHED, primary=True)))] == [True]
    assert [h.waited_for(gone) for h in healers(Part(replica=True, place=Place(WATCHED, primary=False)))] == [False]
    assert healers(Part()) == ()


def test_of_two_sentinels_the_one_that_saw_the_later_failover_is_believed() -> None:
    watches = Watches()
    watches.tell("s1", [WATCHED])
    old = WATCHED.primary
    assert watches.of([old], "") == Place(WATCHED, primary=True)
    after = replace(WATCHED, primary=("10.0.0.6", 6379), run_id="b" * 40, replicas=((old, ""),), epoch=5)
    watches.tell("s2", [after])
    assert watches.of([old], "a" * 40) == Place(after, primary=False)
    assert watches.of([("10.0.0.9", 6379)], "") is None


# Cluster ------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Server]]:
    """Three primaries, each with a third of the slots."""
    nodes: list[Server] = []
    try:
        for number in range(3):
            bus = str(free_port())
            options = ("--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
            nodes.append(Server(tmp_path_factory.mktemp(f"node{number}"), *options))
            nodes[-1].start()
        for number, node in enumerate(nodes):
            await node.ready()
            node.cli("CLUSTER", "ADDSLOTSRANGE", str(number * 16384 // 3), str((number + 1) * 16384 // 3 - 1))
        for node in nodes[1:]:
            nodes[0].cli("CLUSTER", "MEET", "127.0.0.1", str(node.port), node.options[3])
        async with asyncio.timeout(PATIENCE):
            while True:
                if all("cluster_state:ok" in node.cli("CLUSTER", "INFO") for node in nodes):
                    break
                await asyncio.sleep(0.1)
        yield nodes
    finally:
        for node in nodes:
            node.kill()


async def test_a_node_of_a_cluster_is_looked_at_and_proved_as_one(cluster: list[Server], connect: Connect) -> None:
    session = connect(cluster[0])
    reading = await looks_until(session, lambda seen: seen.metrics.get("cluster_ok") == 1, None, "cluster")
    assert reading.ok
    assert (reading.metrics["cluster_enabled"], reading.metrics["cluster_slots_bad"]) == (1, 0)
    assert firing(reading) == set()
    for act in (True, False):  # keys of other nodes would be MOVED
        again = connect(cluster[1], act=act)
        await connector.read(again, None)
        for _ in range(5):
            assert (await connector.probe(again)).ok is True
    assert [healer.name for healer in connector.healers(session)] == ["Redis Cluster"]
    assert "one node of a cluster" in (tools.redis_flush.refusal(reading, {}) or "")


async def test_what_may_not_be_asked_of_a_cluster_is_named(
    cluster: list[Server], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHKEEPER_TEST_SECRET", "x")
    cluster[0].cli("ACL", "SETUSER", "narrow", "reset", "on", ">x", "~*", "+@all", "-cluster|info", "-cluster|nodes")
    reading = await connector.read(connect(cluster[0], username="narrow", password="env:WATCHKEEPER_TEST_SECRET"), None)
    assert reading.ok
    assert "`cluster|info`" in reading.facts["not_read"]
    assert "`cluster|nodes`" in reading.facts["not_read"]


def test_a_key_of_our_own_is_one_that_this_node_has() -> None:
    assert suffix(Part(slots=((0, 3), (16000, 16100))))


def test_a_primary_with_a_replica_is_left_to_its_cluster_first() -> None:
    part = Part(cluster=True, stand_ins=1, answers=True, node_timeout=15.0)
    assert "CLUSTER FAILOVER" in (fights(tools.redis_restart, healers(part)) or "")
    (healer,) = healers(replace(part, answers=False))
    assert (healer.wait, healer.refuses) == (45.0, "")
    assert [bool(one.done) for one in healers(replace(part, stand_ins=0))] == [True]


async def test_a_cluster_that_lost_a_node_says_which(cluster: list[Server], connect: Connect) -> None:
    session, gone = connect(cluster[0]), cluster[2]
    first = await connector.read(session, None)
    gone.kill()
    lost = await looks_until(session, lambda seen: bool(seen.facts.get("cluster_failing")), first, "cluster")
    lost = await looks_until(session, lambda seen: "redis-cluster-not-ok" in firing(seen), lost, "cluster")
    assert lost.facts["cluster_failing"] == f"127.0.0.1:{gone.port}"
    assert (await connector.probe(session)).ok is False


# Slow commands ------------------------------------------------------------------------------------------------------


async def test_the_slow_command_its_key_and_who_sends_it_are_named_and_may_be_ended(
    server: MakeServer, connect: Connect
) -> None:
    one = await server("--slowlog-log-slower-than", "0")
    one.fill("cart", 2000)
    session = connect(one)
    first = await connector.read(session, None)
    assert "slow_ratio" not in first.metrics  # what was there before says nothing of now
    client = await asyncio.create_subprocess_exec(
        "redis-cli",
        "-p",
        str(one.port),
        "-r",
        "-1",
        "-i",
        "0.01",
        "KEYS",
        "cart:4711*",
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        seen = await looks_until(session, lambda seen: seen.facts.get("slow_command") == "KEYS", first, "slow")
        assert seen.facts["slow_key"] == "cart:*"
        assert seen.facts["slow_client"].startswith("127.0.0.1:")
        assert seen.metrics["slowest_seconds"] > 0
        assert set(seen.metrics) <= set(connector.sample.metrics)
        assert (await redis_end_client.run(session, client=seen.facts["slow_client"]))["ended"] == 1
        with pytest.raises(Refused, match="not connected"):
            await redis_end_client.run(session, client=seen.facts["slow_client"])
    finally:
        with suppress(ProcessLookupError):  # without its connection it may have ended
            client.kill()
        await client.wait()


async def test_our_own_connection_is_not_ended(server: MakeServer, connect: Connect) -> None:
    session = connect(await server())
    await connector.read(session, None)
    mine = str(await session.call("CLIENT", "INFO")).partition("addr=")[2].split()[0]
    with pytest.raises(Refused, match="or ours"):
        await redis_end_client.run(session, client=mine)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("cart:4711:items", "cart:*:items"),
        ("session:Zk3fQ9x", "session:*"),
        ("hunter2", "*"),
        ("", "*"),
        ("a" * 30, "*"),
    ],
)
def test_of_a_key_only_its_shape_is_kept(key: str, shown: str) -> None:
    assert shape(key) == shown


def test_a_secret_argument_is_no_key() -> None:
    assert {"AUTH", "HELLO", "CONFIG", "ACL", "EVAL"} <= slow._NO_KEY


def slow_log(first: int, count: int, microseconds: int) -> list[list[object]]:
    """What SLOWLOG GET gives: the newest first."""
    numbers = range(first + count - 1, first - 1, -1)
    return [[number, 0, microseconds, ["KEYS", "cart:*"], "127.0.0.9:5", ""] for number in numbers]


def shares(session: RedisSession, *asked: list[list[object]]) -> list[float]:
    """`slow_ratio` after each time it was asked, ten seconds apart."""
    found: list[float] = []
    for entries in asked:
        session.part.slow_at -= 10
        slow._take(session, entries)
        found.append(session.part.slow[0].get("slow_ratio", 0.0))
    return found


async def test_what_holds_up_everybody_for_long_is_told_and_one_long_command_is_not(
    server: MakeServer, connect: Connect
) -> None:
    session = connect(await server())
    long = shares(session, slow_log(0, 1, 20_000), slow_log(1, 1, 9_000_000), slow_log(1, 1, 9_000_000))
    assert long == [0, 0, 0]  # a script that was ended
    again = shares(session, slow_log(2, 10, 500_000), slow_log(12, 10, 500_000), [])
    assert again[0] == 0
    assert 0.4 < again[1] < 0.6
    assert again[2] == 0


# Replicas -----------------------------------------------------------------------------------------------------------


async def test_replicas_that_begin_anew_again_and_again_get_a_larger_backlog(
    server: MakeServer, connect: Connect
) -> None:
    primary = await server("--repl-backlog-size", "16kb", "--repl-diskless-sync-delay", "0", name="primary")
    replica = await server("--replicaof", "127.0.0.1", str(primary.port), name="replica")
    session = connect(primary)
    await looks_until(connect(replica), lambda seen: seen.metrics.get("replica_link_up") == 1)
    last = await looks_until(session, lambda seen: seen.metrics.get("replica_lag_seconds", -1) >= 0)
    assert firing(last) == set()
    for _ in range(3):
        before = last.metrics["failed_resyncs_total"]
        replica.cli("REPLICAOF", "127.0.0.1", "1")  # away, while more is written than is kept
        primary.fill("cart", 100)
        replica.cli("REPLICAOF", "127.0.0.1", str(primary.port))
        last = await looks_until(session, lambda seen, b=before: seen.metrics["failed_resyncs_total"] > b, last)
    assert last.metrics["failed_resyncs_lately"] == 3
    assert "redis-replica-resyncs" in firing(last)

    wanted = int(last.metrics["wanted_backlog_bytes"])
    assert wanted >= 64 << 10
    before_size = await tools.redis_set_repl_backlog.state(session) if tools.redis_set_repl_backlog.state else 0
    assert tools.redis_set_repl_backlog.refusal(last, {"value": wanted}) is None
    assert "already" in (tools.redis_set_repl_backlog.refusal(last, {"value": 16 << 10}) or "")
    await tools.redis_set_repl_backlog.run(session, value=wanted)
    after = await connector.read(session, last)
    assert "redis-replica-resyncs" not in firing(after)
    assert tools.redis_set_repl_backlog.undo_run
    await tools.redis_set_repl_backlog.undo_run(session, before_size)
    assert primary.cli("CONFIG", "GET", "repl-backlog-size").endswith(str(before_size))


# Evictions ----------------------------------------------------------------------------------------------------------


def window(follower: hits.Hits, metrics: dict[str, float]) -> dict[str, float]:
    follower.at -= hits.WINDOW_SECONDS + 1
    hits.follow(follower, metrics)
    return metrics


def totals(found: float, missed: float, evicted: float) -> dict[str, float]:
    return {"keyspace_hits_total": found, "keyspace_misses_total": missed, "evicted_keys_total": evicted}


def test_evictions_hurt_only_where_hits_fall_under_traffic() -> None:
    follower = hits.Hits()
    hits.follow(follower, totals(0, 0, 0))
    assert window(follower, totals(900, 100, 0))["hit_ratio_before"] == 0.9
    seen = window(follower, totals(1500, 500, 5000))
    assert (round(seen["hit_ratio_lately"], 2), seen["hit_ratio_before"]) == (0.6, 0.9)
    (rule,) = [rule for rule in connector.rules if rule.id == "redis-evictions-hurt"]

    def hurts(**metrics: float) -> bool | None:
        return rule.when.holds(Reading("r", connector.sample.at, 0.0, seen | metrics).scope())

    assert hurts(evicted_per_second=50.0) is True
    assert hurts(evicted_per_second=0.0) is False
    idle = window(follower, totals(1501, 540, 5100))
    assert "hit_ratio_lately" not in idle, "an idle cache misses by chance"


async def test_an_idle_server_raises_nothing(server: MakeServer, connect: Connect) -> None:
    one = await server("--appendonly", "yes")
    session = connect(one, host=ProcessHost(one, memory=256 << 20))
    last: Reading | None = None
    for _ in range(3):
        session.part.hits.at -= hits.WINDOW_SECONDS + 1
        for what in ("slow", "sentinels", "configuration"):
            session.soon(what)
        last = await connector.read(session, last)
        assert firing(last) == set()
        assert "without maxmemory" in last.state
