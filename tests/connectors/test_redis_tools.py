"""The hands on a Redis: what each does, what it refuses, and whether it tells afterwards that it was done."""

import asyncio
import signal
import socket

import pytest
from redis_fixtures import Connect, MakeServer, ProcessHost, Server, idle_connections, is_open, needs_root

from watchkeeper.connectors.redis import connector, sockets, tools
from watchkeeper.connectors.redis.preconditions import effect_of_restart
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.trouble import Trouble
from watchkeeper.domain import Effect, Reading, Refused, Tool, WatchkeeperError

MB = 1 << 20


async def refusal(session: RedisSession, tool: Tool[RedisSession], **arguments: object) -> str | None:
    """What the tool's preconditions say on a fresh look."""
    return tool.refusal(await connector.read(session, None), tool.parse(arguments))


# maxmemory --------------------------------------------------------------------------------------------------------


async def test_maxmemory_is_raised_and_restored(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "20mb")
    session = connect(one, host=ProcessHost(one, memory=100 * MB))
    assert await refusal(session, tools.redis_set_maxmemory, value=60 * MB) is None
    before = await tools.maxmemory(session)
    await tools.redis_set_maxmemory.run(session, value=60 * MB)
    assert await tools.maxmemory(session) == 60 * MB != before
    assert tools.redis_set_maxmemory.undo_run
    await tools.redis_set_maxmemory.undo_run(session, before)
    assert await tools.maxmemory(session) == before == 20 * MB


async def test_maxmemory_is_not_raised_where_it_would_not_help_or_not_fit(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("cart", 17400)
    session = connect(one, host=ProcessHost(one, memory=100 * MB))
    said = {value: await refusal(session, tools.redis_set_maxmemory, value=value * MB) for value in (21, 22, 40, 70)}
    assert "not a tenth more" in (said[21] or "")
    assert "would not heal" in (said[22] or "")
    assert said[40] is None
    used = (await connector.read(session, None)).metrics["used_memory_bytes"]  # some is written as soon as it can be
    assert "would not heal" in (await refusal(session, tools.redis_set_maxmemory, value=int(used / 0.83)) or "")
    assert "more than is safe" in (said[70] or "")


async def test_a_limit_below_what_is_used_is_refused_while_acting(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("cart", 5000)
    with pytest.raises(Refused, match="would stop every write"):
        await tools.redis_set_maxmemory.run(connect(one), value=2 * MB)
    assert one.cli("CONFIG", "GET", "maxmemory").endswith(str(20 * MB))


async def test_an_unlimited_server_is_not_given_a_limit(server: MakeServer, connect: Connect) -> None:
    assert "no maxmemory" in (await refusal(connect(await server()), tools.redis_set_maxmemory, value=60 * MB) or "")


def test_arguments_out_of_bounds_are_refused() -> None:
    with pytest.raises(WatchkeeperError, match="value"):
        tools.redis_set_maxmemory.parse({"value": 5})
    with pytest.raises(WatchkeeperError, match="down_to_ratio"):
        tools.redis_expire_cache_keys.parse({"down_to_ratio": 0})


def test_an_argument_that_counts_bytes_is_taken_as_people_write_it() -> None:
    assert tools.redis_set_maxmemory.parse({"value": "64mb"}) == {"value": 64 * MB}
    assert tools.redis_set_maxmemory.in_bytes == ("value",)
    with pytest.raises(WatchkeeperError, match="value:"):
        tools.redis_set_maxmemory.parse({"value": "64 bananas"})


# purge ------------------------------------------------------------------------------------------------------------


async def test_a_purge_that_gains_nothing_is_refused(server: MakeServer, connect: Connect) -> None:
    session = connect(await server("--maxmemory", "2gb"))
    assert "gains nothing" in (await refusal(session, tools.redis_memory_purge) or "")


async def test_a_purge_loses_nothing(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "50mb")
    one.fill("cart", 1000)
    await tools.redis_memory_purge.run(connect(one))
    assert one.cli("DBSIZE") == "1000"


# keys -------------------------------------------------------------------------------------------------------------


async def test_undeclared_keys_are_never_expired(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("cart", 6000)
    one.fill("session", 4000)
    one.fill("page", 7000)
    session = connect(one, cache_keys="page:*")
    result = await tools.redis_expire_cache_keys.run(session, down_to_ratio=0.7)
    assert result["used_memory_ratio"] <= 0.7
    assert 0 < result["removed"] < 7000  # it stops when memory is down
    left = [one.cli("EVAL", "return #redis.call('keys', ARGV[1])", "0", f"{p}:*") for p in ("cart", "session", "page")]
    assert left[:2] == ["6000", "4000"]
    assert int(left[2]) == 7000 - result["removed"]


async def test_where_the_cache_is_too_small_it_says_so_and_stops_at_its_end(
    server: MakeServer, connect: Connect
) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("cart", 16000)
    one.fill("page", 300)
    result = await tools.redis_expire_cache_keys.run(connect(one, cache_keys=["page:*"]), down_to_ratio=0.5)
    assert (result["removed"], result["reached"]) == (300, False)
    assert one.cli("DBSIZE") == "16000"


async def test_nothing_is_expired_where_nothing_is_declared(server: MakeServer, connect: Connect) -> None:
    one = await server("--maxmemory", "20mb")
    one.fill("page", 100)
    session = connect(one)
    assert "declared" in (await refusal(session, tools.redis_expire_cache_keys) or "")
    for tool in (tools.redis_expire_cache_keys, tools.redis_flush):
        with pytest.raises(Refused):
            await tool.run(session)
    assert one.cli("DBSIZE") == "100"


async def test_a_flush_stops_before_the_first_key_where_one_is_undeclared(server: MakeServer, connect: Connect) -> None:
    one = await server()
    one.fill("page", 3000)
    one.cli("SET", "cart:1", "1")
    with pytest.raises(Refused, match="1 keys are not declared"):
        await tools.redis_flush.run(connect(one, cache_keys="page:*"))
    assert one.cli("DBSIZE") == "3001"


async def test_a_flush_removes_everything_where_all_is_declared(server: MakeServer, connect: Connect) -> None:
    one = await server()
    one.fill("page", 3000)
    one.cli("SET", "thumb:[1]", "1")
    session = connect(one, cache_keys="page:*,thumb:\\[?\\]")
    assert await refusal(session, tools.redis_flush) is None
    assert (await tools.redis_flush.run(session))["removed"] == 3001
    assert one.cli("DBSIZE") == "0"


async def test_a_flush_is_refused_where_the_sample_holds_a_stranger(server: MakeServer, connect: Connect) -> None:
    one = await server()
    one.fill("cart", 100)
    session = connect(one, cache_keys="page:*")
    assert "not declared" in (await refusal(session, tools.redis_flush) or "")
    assert tools.redis_flush.effect is Effect.DESTRUCTIVE


async def test_keys_that_are_no_text_are_handled(server: MakeServer, connect: Connect) -> None:
    one = await server()
    session = connect(one, cache_keys="page:*")
    for key in (b"page:\xff\xfe", b"page:\r\n"):
        await session.call("SET", key, b"\x00")
    assert (await tools.redis_flush.run(session))["removed"] == 2
    assert one.cli("DBSIZE") == "0"


# clients ----------------------------------------------------------------------------------------------------------


async def roomy(server: MakeServer) -> Server:
    return await server("--maxclients", "20", "--protected-mode", "no")


async def test_only_idle_plain_clients_of_that_address_are_ended(server: MakeServer, connect: Connect) -> None:
    one = await roomy(server)
    session = connect(one)
    await session.call("PING")
    with idle_connections(one.port, 8, address="127.0.0.9") as leaked, idle_connections(one.port, 5) as others:
        blocked, subscribed, queued = leaked[:3]
        blocked.sendall(b"BLPOP nothing 0\r\n")
        subscribed.sendall(b"SUBSCRIBE news\r\n")
        queued.sendall(b"MULTI\r\n")
        await asyncio.sleep(2.1)  # Redis counts idle time in whole seconds
        assert is_open(leaked[7])  # this one works
        result = await tools.redis_kill_clients.run(session, address="127.0.0.9", min_idle_seconds=2)
        assert result == {"ended": 4, "freed_to_get_in": 0}
        assert [is_open(one) for one in leaked[3:]] == [False, False, False, False, True]
        assert all(is_open(other) for other in others)
        names = one.cli("CLIENT", "LIST")
        assert "cmd=blpop" in names
        assert "cmd=subscribe" in names
        assert "cmd=multi" in names
        assert "name=watchkeeper" in names


@needs_root
async def test_it_gets_in_where_all_slots_are_taken_and_no_session_is_open(
    server: MakeServer, connect: Connect
) -> None:
    one = await roomy(server)
    session = connect(one)
    with idle_connections(one.port, 16, address="127.0.0.9"), idle_connections(one.port, 4) as others:
        with pytest.raises(Trouble, match="All client connections are taken"):
            await session.call("PING")
        reading = await connector.read(session, None)
        assert tools.redis_kill_clients.refusal(reading, {"address": "127.0.0.9"}) is None
        assert await tools.exhausted(session) is True
        await asyncio.sleep(1.1)  # Redis counts idle time in whole seconds
        result = await tools.redis_kill_clients.run(
            session, address=reading.facts["top_client_address"], min_idle_seconds=1
        )
        assert result["freed_to_get_in"] == 1
        assert result["ended"] == 15
        assert await tools.exhausted(session) is False
        assert all(is_open(other) for other in others)
        assert (await connector.read(session, reading)).ok


async def test_where_no_slot_can_be_freed_it_is_said_why(
    server: MakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await roomy(server)
    with idle_connections(one.port, 20):
        with pytest.raises(Refused, match="process is not known"):
            await tools.redis_kill_clients.run(connect(one, bare=True), address="127.0.0.1")
        monkeypatch.setattr(sockets.os, "geteuid", lambda: 1000)
        with pytest.raises(Refused, match="needs root"):
            await tools.redis_kill_clients.run(connect(one), address="127.0.0.1")


async def test_clients_are_left_alone_where_there_is_room_or_no_such_address(
    server: MakeServer, connect: Connect
) -> None:
    session = connect(await server())
    assert "are taken" in (await refusal(session, tools.redis_kill_clients, address="127.0.0.1") or "")
    with pytest.raises(Refused, match="no plain connection"):
        await tools.redis_kill_clients.run(session, address="10.0.0.99")
    with pytest.raises(Refused, match="not an IP"):
        await tools.redis_kill_clients.run(session, address="* ; reboot")


# scripts ----------------------------------------------------------------------------------------------------------


async def running_script(one: Server, script: str) -> asyncio.subprocess.Process:
    """A script that is running; returns once the server is blocked by it."""
    process = await asyncio.create_subprocess_exec(
        "redis-cli", "-p", str(one.port), "EVAL", script, "0", stdout=asyncio.subprocess.DEVNULL
    )
    with socket.create_connection(("127.0.0.1", one.port), timeout=5) as asking:
        answer = b"+PONG"
        while not answer.startswith(b"-BUSY"):
            asking.sendall(b"PING\r\n")
            answer = await asyncio.to_thread(asking.recv, 200)
    return process


async def test_a_busy_script_is_ended(server: MakeServer, connect: Connect) -> None:
    one = await server("--busy-reply-threshold", "100")
    session = connect(one)
    assert "answers" in (await refusal(session, tools.redis_script_kill) or "")
    script = await running_script(one, "while true do end")
    assert await refusal(session, tools.redis_script_kill) is None
    assert await tools.busy(session) is True
    assert await tools.redis_script_kill.run(session) == {"ended": "script"}
    assert await tools.busy(session) is False
    await script.wait()


async def test_a_session_that_opens_while_a_script_runs_gets_in(server: MakeServer, connect: Connect) -> None:
    one = await server("--busy-reply-threshold", "100", "--requirepass", "right")
    host = ProcessHost(one)
    host.variables = {"REDIS_PASSWORD": "right"}
    first = connect(one, host=host)
    await first.call("PING")
    eval_task = asyncio.create_task(first.call("EVAL", "while true do end", 0, timeout=10.0))
    await asyncio.sleep(0.3)  # past the threshold
    assert await tools.redis_script_kill.run(connect(one, host=host)) == {"ended": "script"}
    with pytest.raises(Trouble):
        await eval_task


async def test_a_function_is_ended_too(server: MakeServer, connect: Connect) -> None:
    one = await server("--busy-reply-threshold", "100")
    one.cli("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('spin', function() while true do end end)")
    session = connect(one)
    process = await asyncio.create_subprocess_exec("redis-cli", "-p", str(one.port), "FCALL", "spin", "0")
    await asyncio.sleep(0.3)  # past the threshold
    assert await tools.redis_script_kill.run(session) == {"ended": "function"}
    await process.wait()


async def test_a_script_that_has_written_is_not_ended_and_the_reason_is_clear(
    server: MakeServer, connect: Connect
) -> None:
    one = await server("--busy-reply-threshold", "100")
    session = connect(one)
    script = await running_script(one, "redis.call('set', 'a', 1); while true do end")
    with pytest.raises(WatchkeeperError, match="has written already") as said:
        await tools.redis_script_kill.run(session)
    assert "redis_restart" in said.value.next_step
    assert await tools.busy(session) is True
    script.kill()
    await script.wait()


# restart ----------------------------------------------------------------------------------------------------------


async def test_a_restart_waits_until_commands_are_accepted_and_tells_it_was_done(
    server: MakeServer, connect: Connect
) -> None:
    one = await server("--appendonly", "yes")
    one.fill("cart", 100)
    session = connect(one)
    assert effect_of_restart(await connector.read(session, None)) is Effect.DISRUPTIVE
    before = await tools.start_count(session)
    assert await tools.redis_restart.run(session) != before
    assert await tools.start_count(session) != before
    assert await session.call("DBSIZE") == 100


async def test_a_silent_server_is_restarted(server: MakeServer, connect: Connect) -> None:
    one = await server("--appendonly", "yes")
    session = connect(one)
    await session.call("PING")
    one.signal(signal.SIGSTOP)
    with pytest.raises(Trouble, match="No answer"):
        await session.call("PING", timeout=0.2)
    await tools.redis_restart.run(session)
    assert await session.call("PING") == "PONG"


def reading(**metrics: float) -> Reading:
    sample = connector.sample
    return Reading(sample.resource, sample.at, 0.0, {**sample.metrics, **metrics}, sample.facts)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({}, Effect.DISRUPTIVE),
        ({"persistence_enabled": 0.0, "aof_enabled": 0.0}, Effect.DESTRUCTIVE),
        ({"aof_enabled": 0.0, "save_points": 3.0}, Effect.DISRUPTIVE),
        ({"aof_enabled": 0.0, "save_points": 3.0, "busy_script": 1.0}, Effect.DESTRUCTIVE),
        ({"aof_enabled": 0.0, "save_points": 3.0, "responding": 0.0}, Effect.DESTRUCTIVE),
        ({"responding": 0.0}, Effect.DISRUPTIVE),
        ({"persistence_enabled": 0.0, "aof_enabled": 0.0, "host_running": 0.0}, Effect.DISRUPTIVE),
    ],
)
def test_what_a_restart_would_lose_is_judged_from_the_state(metrics: dict[str, float], expected: Effect) -> None:
    assert tools.redis_restart.effect_on(reading(**metrics)) is expected
    assert tools.redis_restart.effect_on(None) is Effect.DESTRUCTIVE


def test_a_server_that_was_stopped_on_purpose_is_not_started() -> None:
    said = tools.redis_restart.refusal(reading(host_running=0.0, host_stopped_on_purpose=1.0), {})
    assert said == "It was stopped on purpose."


# looking ----------------------------------------------------------------------------------------------------------


async def test_info_and_slow_log_are_told_without_what_users_stored(server: MakeServer, connect: Connect) -> None:
    one = await server("--slowlog-log-slower-than", "0")
    session = connect(one)
    await session.call("SET", "card:4711", "secret-value")
    assert (await tools.redis_info.run(session, section="server"))["redis_version"]
    entries = await tools.redis_slowlog.run(session, count=10)
    assert {"command": "SET", "arguments": 2}.items() <= next(e for e in entries if e["command"] == "SET").items()
    assert "secret-value" not in repr(entries)
