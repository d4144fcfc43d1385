"""What one look at a Redis tells, above all when it fails."""

import asyncio
import functools
import signal
import time

import pytest
from redis_fixtures import Connect, MakeServer, ProcessHost, Server, idle_connections, needs_root

from watchkeeper.connectors.redis import connector
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import Reading

SOMETIMES = {
    "undeclared_sample_ratio",
    "hit_ratio",
    "replica_link_up",
    "top_client_connections",
    "top_client_idle_seconds",
    "replica_syncing",
    "replica_lag_bytes",
    "replica_lag_seconds",
    "wanted_backlog_bytes",
    "cluster_ok",
    "cluster_slots_bad",
    "cluster_nodes_failing",
    "slow_ratio",
    "slowest_seconds",
    "hit_ratio_lately",
    "hit_ratio_before",
    "evicted_lately_per_second",
}


def firing(reading: Reading) -> set[str]:
    """The rules whose condition holds."""
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def looks_until(session: RedisSession, last: Reading | None, metric: str, value: float) -> Reading:
    """Look again and again until a metric has that value."""
    async with asyncio.timeout(10):
        while True:
            last = await connector.read(session, last)
            if last.metrics.get(metric) == value:
                return last
            await asyncio.sleep(0.02)  # the rate of looking


async def test_a_look_tells_every_metric_that_rules_may_name(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "50mb")
    session = connect(one, host=ProcessHost(one, memory=256 << 20))
    first = await connector.read(session, None)
    await asyncio.sleep(0.06)  # a rate needs some time between two looks
    second = await connector.read(session, first)
    assert second.ok
    assert set(connector.sample.metrics) - set(second.metrics) <= SOMETIMES
    assert set(second.metrics) <= set(connector.sample.metrics)
    assert set(second.facts) <= set(connector.sample.facts)
    assert second.metrics["maxmemory_bytes"] == 50 << 20
    assert second.metrics["safe_maxmemory_bytes"] == int(0.6 * (256 << 20))
    assert firing(second) == set()


async def test_an_unlimited_server_has_no_memory_ratio(server: MakeServer, connect: Connect) -> None:
    reading = await connector.read(connect(await server()), None)
    assert "used_memory_ratio" not in reading.metrics
    assert "safe_maxmemory_bytes" not in reading.metrics
    assert "redis-memory-full" not in firing(reading)


async def test_full_memory_is_seen_only_where_nothing_may_be_evicted(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("cart", 17400)
    session = connect(one)
    reading = await connector.read(session, None)
    assert reading.metrics["used_memory_ratio"] > 0.95
    assert firing(reading) == {"redis-memory-full"}
    one.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert firing(await connector.read(session, reading)) == set()
    one.cli("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    assert firing(await connector.read(session, reading)) == {"redis-memory-full"}, "no key has a TTL: nothing can go"
    one.cli("EXPIRE", "cart:1", "3600")
    assert firing(await connector.read(session, reading)) == set()


async def test_more_memory_for_its_container_is_known_at_once_where_memory_is_short(
    server: MakeServer, connect: Connect
) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("cart", 17400)
    host = ProcessHost(one, memory=32 << 20)
    session = connect(one, host=host)
    last = await looks_until(session, None, "safe_maxmemory_bytes", float(int(0.6 * (32 << 20))))
    await connector.read(session, last)
    host.memory = 128 << 20
    async with asyncio.timeout(2.5):
        await looks_until(session, last, "safe_maxmemory_bytes", float(int(0.6 * (128 << 20))))


async def test_a_kept_session_sees_who_holds_the_connections(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxclients", "20", "--protected-mode", "no")
    session = connect(one)
    last = await connector.read(session, None)
    with idle_connections(one.port, 14, address="127.0.0.9"), idle_connections(one.port, 5):
        await asyncio.sleep(1.1)  # Redis counts idle time in whole seconds
        reading = await connector.read(session, last)
        assert reading.ok
        assert reading.metrics["clients_exhausted"] == 1.0
        assert reading.facts["top_client_address"] == "127.0.0.9"
        assert reading.metrics["top_client_connections"] == 14
        assert firing(reading) == {"redis-clients-exhausted"}


@needs_root
async def test_a_refused_slot_tells_that_it_is_exhausted_and_by_whom(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxclients", "20", "--protected-mode", "no")
    with idle_connections(one.port, 15, address="127.0.0.9"), idle_connections(one.port, 5):
        reading = await connector.read(connect(one), None)
    assert (reading.metrics["up"], reading.metrics["clients_exhausted"], reading.metrics["connections_ratio"]) == (
        1,
        1,
        1,
    )
    assert reading.facts["error"] == "exhausted"
    assert reading.facts["top_client_address"] == "127.0.0.9"
    assert reading.metrics["top_client_connections"] == 15
    assert firing(reading) == {"redis-clients-exhausted"}


async def test_a_server_in_protected_mode_is_not_taken_for_one_that_is_down(
    server: MakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = connect(await server())
    from_elsewhere = functools.partial(asyncio.open_connection, local_addr=("127.0.0.9", 0))
    monkeypatch.setattr("watchkeeper.connectors.redis.wire.asyncio.open_connection", from_elsewhere)
    for _ in range(5):
        reading = await connector.read(session, None)
        assert "protected mode" in str(reading.error)
        assert reading.metrics["up"] == 1.0
        assert not firing(reading)


async def test_a_busy_script_names_itself_and_nothing_else(server: MakeServer, connect: Connect) -> None:
    one = await server("--busy-reply-threshold", "200")
    session = connect(one)
    last = await connector.read(session, None)
    script = await asyncio.create_subprocess_exec("redis-cli", "-p", str(one.port), "EVAL", "while true do end", "0")
    reading = await looks_until(session, last, "busy_script", 1.0)
    assert (reading.metrics["up"], reading.metrics["responding"]) == (1, 1)
    assert reading.metrics["busy_reply_threshold_seconds"] == 0.2
    assert firing(reading) == {"redis-busy-script"}
    one.cli("SCRIPT", "KILL")
    await script.wait()
    assert (await connector.read(session, reading)).ok


async def test_silence_grows_until_it_is_more_than_a_script_may_take(server: MakeServer, connect: Connect) -> None:
    one = await server("--busy-reply-threshold", "10")
    session = connect(one)
    last = await connector.read(session, None)
    ident = await session.call("CLIENT", "ID")
    one.signal(signal.SIGSTOP)
    begun = time.monotonic()
    first = await connector.read(session, last)
    assert time.monotonic() - begun < 1.5
    assert first.metrics["responding"] == 0
    assert "up" not in first.metrics  # silence does not tell that it is down
    assert firing(first) == set()
    second = await connector.read(session, first)
    third = await connector.read(session, second)
    assert third.metrics["unresponsive_seconds"] > second.metrics["unresponsive_seconds"] > 1
    assert firing(third) == {"redis-unresponsive"}
    one.signal(signal.SIGCONT)
    after = await connector.read(session, third)
    assert after.ok
    assert after.metrics["unresponsive_seconds"] == 0
    assert await session.call("CLIENT", "ID") == ident  # the way in was kept, and late replies are not taken for others


async def test_a_paused_host_explains_the_silence(server: MakeServer, connect: Connect) -> None:
    one = await server("--busy-reply-threshold", "10")
    host = ProcessHost(one)
    session = connect(one, host=host)
    last = await connector.read(session, None)
    one.signal(signal.SIGSTOP)
    host.status = "paused"
    for _ in range(3):
        last = await connector.read(session, last)
    assert last.metrics["host_paused"] == 1
    assert last.metrics["unresponsive_seconds"] == 0
    assert firing(last) == set()


@pytest.mark.parametrize(
    ("stopped_by", "expected"), [("killed", {"redis-down"}), ("on_purpose", set[str]()), ("unknown", set[str]())]
)
async def test_a_server_that_was_stopped_on_purpose_raises_nothing(
    server: MakeServer, connect: Connect, stopped_by: str, expected: set[str]
) -> None:
    one = await server("--maxmemory", "50mb")
    session = connect(one, host=ProcessHost(one, stopped_by=stopped_by))  # type: ignore[arg-type]
    last = await connector.read(session, None)
    one.kill()
    reading = await connector.read(session, last)
    assert (reading.metrics["up"], reading.metrics["responding"]) == (0, 0)
    assert reading.facts["error"] == "refused"
    assert firing(reading) == expected
    # What was known of its configuration stays known: tools and rules need it.
    assert reading.metrics["maxmemory_bytes"] == 50 << 20
    assert reading.metrics["persistence_enabled"] == 0
    assert "used_memory_ratio" not in reading.metrics


async def test_what_had_ended_in_peace_before_it_was_seen_raises_nothing(server: MakeServer, connect: Connect) -> None:
    one = await server()
    host = ProcessHost(one, stopped_by="exited")
    host.exit_code = 0
    one.kill()
    reading = await connector.read(connect(one, host=host), None)
    assert reading.off
    assert firing(reading) == set()


async def test_a_crash_of_the_process_alone_is_down(server: MakeServer, connect: Connect) -> None:
    one = await server()
    session = connect(one, bare=True)
    last = await connector.read(session, None)
    one.kill()
    assert firing(await connector.read(session, last)) == {"redis-down"}
    one.start()
    await one.ready()
    assert (await connector.read(session, last)).ok  # it connects again by itself


async def test_a_wrong_password_is_said_and_never_shown(
    server: MakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await server("--requirepass", "right")
    monkeypatch.setenv("CACHE_PASSWORD", "wrong-secret")
    wrong = await connector.read(connect(one, password="env:CACHE_PASSWORD"), None)
    assert wrong.error is not None
    assert "does not accept the password" in wrong.error
    assert "env:NAME" in wrong.error
    assert "wrong-secret" not in repr(wrong)
    none = await connector.read(connect(one), None)
    assert none.error is not None
    assert "asks for a password" in none.error
    monkeypatch.delenv("CACHE_PASSWORD")
    unset = await connector.read(connect(one, password="env:CACHE_PASSWORD"), None)
    assert unset.error is not None
    assert "CACHE_PASSWORD" in unset.error
    assert firing(wrong) | firing(none) | firing(unset) == set()
    monkeypatch.setenv("CACHE_PASSWORD", "right")
    assert (await connector.read(connect(one, password="env:CACHE_PASSWORD"), None)).ok


async def test_the_password_of_a_container_is_taken_from_its_environment(server: MakeServer, connect: Connect) -> None:
    one = await server("--requirepass", "right")
    host = ProcessHost(one)
    host.variables = {"REDIS_PASSWORD": "right"}
    assert (await connector.read(connect(one, host=host), None)).ok


async def test_loading_is_told(server: MakeServer, connect: Connect) -> None:
    one = await server("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    one.fill("k", 2000, 100)
    one.cli("SAVE")
    one.kill()
    one.start()
    await one.ready()
    reading = await looks_until(connect(one), None, "loading", 1.0)
    assert reading.metrics["up"] == 1
    assert reading.facts["error"] == "loading"
    assert firing(reading) == set()


async def test_undeclared_keys_are_noticed_by_sampling(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "50mb")
    one.fill("page", 50)
    session = connect(one, cache_keys="page:*, thumb:*")
    only = await connector.read(session, None)
    assert (only.metrics["declared_cache"], only.metrics["undeclared_sample_ratio"]) == (1, 0)
    one.fill("cart", 500)
    session.soon("sample")
    assert (await connector.read(session, only)).metrics["undeclared_sample_ratio"] > 0
    assert (await connector.read(connect(one), None)).metrics["declared_cache"] == 0


async def test_a_look_is_cheap(server: MakeServer, connect: Connect) -> None:
    session = connect(await server("--maxmemory", "50mb"))
    last = await connector.read(session, None)
    begun = time.process_time()
    for _ in range(100):
        last = await connector.read(session, last)
    assert (time.process_time() - begun) / 100 < 0.002


async def test_the_probe_fails_when_memory_is_full(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "10mb")
    session = connect(one)
    assert (await connector.probe(session)).ok is True
    assert one.cli("DBSIZE") == "0"  # it leaves nothing behind
    one.fill("cart", 6000)
    one.cli("CONFIG", "SET", "maxmemory", "2mb")
    probe = await connector.probe(session)
    assert probe.ok is False
    assert "OOM" in (probe.error or "")
    assert (await connector.probe(connect(one, act=False))).ok is True  # only reads, where changes are not permitted


async def test_the_probe_writes_nothing_where_changes_are_not_permitted(server: MakeServer, connect: Connect) -> None:
    one = await server()
    assert (await connector.probe(connect(one, act=False))).ok is True
    assert "cmdstat_set:" not in one.cli("INFO", "commandstats")


async def test_a_probe_without_the_password_has_learnt_nothing(server: MakeServer, connect: Connect) -> None:
    one = await server("--requirepass", "right")
    assert (await connector.probe(connect(one))).ok is None


async def test_a_replica_that_lost_its_master_is_told(server: MakeServer, connect: Connect) -> None:
    master: Server = await server()
    replica = await server("--replicaof", "127.0.0.1", str(master.port))
    session = connect(replica)
    up = await looks_until(session, None, "replica_link_up", 1.0)
    assert firing(up) == set()
    assert (await connector.probe(session)).ok is True  # a replica is only read
    master.kill()
    down = await looks_until(session, up, "replica_link_up", 0.0)
    assert firing(down) == {"redis-replica-detached"}


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("1:M 22 Nov 2026 00:53:04.347 # WARNING Memory overcommit must be enabled!", "WARNING"),
        ("1:M 22 Nov 2026 00:53:04.347 * Ready to accept connections", None),
        ("1:M 22 Nov 2026 00:53:04.347 # Can't save in background: fork: Cannot allocate memory", "ERROR"),
        ("1:M 22 Nov 2026 00:53:04.347 # Out Of Memory allocating 1024 bytes!", "CRITICAL"),
        ("=== REDIS BUG REPORT START: Cut & paste starting from here ===", "CRITICAL"),
        ("something else", None),
    ],
)
def test_the_marks_of_redis_own_log_are_understood(line: str, level: str | None) -> None:
    assert connector.level(line) == level
