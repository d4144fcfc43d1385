"""The printed line is enough for everything, none of it is too much, and what is missing is named."""

import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Administrator
from redis_fixtures import Connect, MakeServer, Server, idle_connections, is_open

from watchkeeper.connectors.redis import RedisConnector
from watchkeeper.connectors.redis.rights import RedisAccess, _by_entry, expanded
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import Resource
from watchkeeper.domain.rights import commands

CONNECTOR = RedisConnector()
ACCESS = RedisAccess()
PATTERNS = "catalogue:*"
TOOLS = {tool.name: tool for tool in CONNECTOR.tools}
NAMED = Resource("docker/lab/redis/cache", "cache", may_act=True, settings={"cache_keys": PATTERNS})
ACT = (*ACCESS.look, *ACCESS.probe(writes=True), *(right for tool in CONNECTOR.tools for right in tool.rights))
IN_A_CLUSTER = {"cluster|info", "cluster|nodes"}
NAMES = sorted({right.what for right in ACT if right.kind == "command"} - IN_A_CLUSTER)


def line(rights: Any) -> str:
    return ACCESS.grant(rights, NAMED).replace(">PASSWORD", ">secret")


async def give(server: Server, said: str) -> None:
    server.cli("ACL", "DELUSER", "watchkeeper")
    assert server.cli(*said.split()) == "OK"


@pytest.fixture
async def redis(server: MakeServer, tmp_path: Path) -> Server:
    """One with a user file, as a Redis has it whose users survive a restart; the line goes in there as it is."""
    users = tmp_path / "users.acl"
    users.write_text(f"user default on nopass ~* &* +@all\n{line(ACT).replace('ACL SETUSER', 'user')}\n")
    made = await server("--aclfile", str(users), "--maxmemory", "30mb", "--maxclients", "20", "--protected-mode", "no")
    made.fill("catalogue", 3000)
    return made


@pytest.fixture
def as_user(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("WATCHKEEPER_TEST_SECRET", "secret")
    return lambda server, **more: connect(
        server, username="watchkeeper", password="env:WATCHKEEPER_TEST_SECRET", cache_keys=PATTERNS, **more
    )


@pytest.fixture
async def crowd(redis: Server) -> AsyncIterator[None]:
    """Enough idle connections that a look asks who they are."""
    with idle_connections(redis.port, 15, address="127.0.0.9"):
        yield


def idle_for_a_second(server: Server) -> None:
    """Until the crowd has been: the server counts whole seconds."""
    while any(" idle=0 " in one for one in server.cli("CLIENT", "LIST").splitlines() if "127.0.0.9" in one):
        pass


async def use(session: RedisSession, name: str) -> None:
    """Run a tool as the executor does: state, act, undo."""
    given = {"redis_set_maxmemory": {"value": 40 << 20}, "redis_expire_cache_keys": {"down_to_ratio": 0.1}}
    given["redis_kill_clients"] = {"address": "127.0.0.9", "min_idle_seconds": 1}
    given["redis_set_min_replicas"] = {"value": 0}
    given["redis_set_repl_backlog"] = {"value": 2 << 20}
    given["redis_set_maxclients"] = {"value": 5000}
    tool = TOOLS[name]
    if name == "redis_end_client":
        await session.call("PING")
        with socket.create_connection(session.at[0], source_address=("127.0.0.9", 0)) as other:
            assert is_open(other)
            await tool.run(session, client=f"127.0.0.9:{other.getsockname()[1]}")
        return
    if name == "redis_promote":
        await session.call("REPLICAOF", "192.0.2.1", "6379")
    if name == "redis_own_folder":
        await an_append_only_file_and_a_stranger_s(session)
    before = await tool.state(session) if tool.state else None
    await tool.run(session, **tool.parse(given.get(name, {})))
    if tool.undo_run:
        await tool.undo_run(session, before)
    if name == "redis_promote":
        await session.call("REPLICAOF", "NO", "ONE")


async def an_append_only_file_and_a_stranger_s(session: RedisSession) -> None:
    """As its administrator: it keeps an append-only file, and a file in its folder belongs to another."""
    await session.call("PING")
    with Administrator(port=session.at[0][1]) as admin:
        admin.config_set("appendonly", "yes")
        while {"aof_rewrite_in_progress": 0, "aof_rewrite_scheduled": 0}.items() - admin.info("persistence").items():
            pass
        folder = Path(admin.config_get("dir")["dir"])
    (folder / "stray.aof").touch()
    os.chown(folder / "stray.aof", 65534, 65534)


async def test_with_the_line_to_watch_every_look_works_and_nothing_is_unread(
    redis: Server, as_user: Any, crowd: None
) -> None:
    await give(redis, line(ACCESS.look))
    idle_for_a_second(redis)
    reading = await CONNECTOR.read(as_user(redis, act=False), None)
    assert reading.error is None
    assert reading.facts["not_read"] == ""
    assert {"slowlog_entries", "save_points", "undeclared_sample_ratio", "top_client_connections"} <= set(
        reading.metrics
    )


@pytest.mark.parametrize("act", [False, True])
async def test_with_the_line_to_probe_the_probe_works(act: bool, redis: Server, as_user: Any) -> None:
    await give(redis, line((*ACCESS.look, *ACCESS.probe(writes=act))))
    assert (await CONNECTOR.probe(as_user(redis, act=act))).ok


async def test_with_the_line_to_act_every_tool_works(redis: Server, as_user: Any, crowd: None) -> None:
    session = as_user(redis)
    for name in TOOLS:
        if name == "redis_kill_clients":
            idle_for_a_second(redis)
        await use(session, name)
    assert redis.starts == 2
    assert (await CONNECTOR.read(session, None)).facts["not_read"] == ""


@pytest.mark.parametrize("name", list(TOOLS))
async def test_the_line_for_one_tool_is_enough_for_it(name: str, redis: Server, as_user: Any, crowd: None) -> None:
    session = as_user(redis)
    await give(redis, line((*ACCESS.look, *ACCESS.probe(writes=True), *TOOLS[name].rights)))
    if name == "redis_kill_clients":
        idle_for_a_second(redis)
    await use(session, name)


@pytest.mark.parametrize("name", NAMES)
async def test_each_right_is_needed_and_named_where_it_is_missing(
    name: str, redis: Server, as_user: Any, crowd: None
) -> None:
    await give(redis, re.sub(rf"\+{re.escape(name)}(?=[ )]|$)", "", line(ACT)).replace("( ", "("))
    session = as_user(redis)
    if name == "client|kill":
        idle_for_a_second(redis)
    said: list[str] = []
    reading = await CONNECTOR.read(session, None)
    said += [reading.error or "", reading.facts.get("not_read", "")]
    said.append((await CONNECTOR.probe(session)).error or "")
    for tool in CONNECTOR.tools:
        if any(right.what == name for right in tool.rights):
            try:
                await use(session, tool.name)
            except Exception as problem:
                said.append(str(problem))
    assert any(f"`{name}`" in text for text in said), said
    if any(right.what == name and right.gives for right in ACCESS.look):
        assert reading.error is None, "the rest is read"
        assert reading.metrics["used_memory_bytes"] > 0


async def test_what_was_not_read_is_not_made_up(redis: Server, as_user: Any) -> None:
    await give(redis, line([r for r in ACCESS.look if not r.gives]))
    session = as_user(redis)
    reading = await CONNECTOR.read(session, None)
    assert reading.error is None
    assert {"slowlog_entries", "save_points", "persistence_enabled"}.isdisjoint(reading.metrics)
    for right in ("client|setname", "slowlog|len", "config|get", "randomkey"):
        assert f"needs `{right}`" in reading.facts["not_read"]
    await give(redis, line(ACCESS.look))  # and it is noticed once it is given
    await session.aclose()
    for seldom in ("configuration", "sentinels", "slow"):
        session.soon(seldom)
    assert (await CONNECTOR.read(session, reading)).facts["not_read"] == ""


async def test_doctor_finds_what_is_missing_and_the_line_it_prints_gives_it(redis: Server, as_user: Any) -> None:
    without = [right for right in ACT if right.what not in ("config|set", "unlink", "slowlog|len")]
    await give(redis, line(without))
    session = as_user(redis)
    held = await ACCESS.held(session, ACT)
    assert {right.what for right in held.missing} == {"config|set", "unlink", "slowlog|len"}

    added = ACCESS.grant(held.missing, NAMED, more=True, version=held.version)
    assert "reset" not in added
    redis.cli(*added.split())
    assert (await ACCESS.held(session, ACT)).missing == ()


async def test_a_user_that_may_not_ask_is_not_said_to_have_what_nobody_knows(redis: Server, as_user: Any) -> None:
    held = await ACCESS.held(as_user(redis), ACT)
    assert held.missing == ()
    assert {right.what for right in held.unknown} == {
        "memory|purge",
        "script|kill",
        "function|kill",
        "replicaof",
        "bgrewriteaof",
    }
    assert "ACL DRYRUN watchkeeper" in held.notes[0]
    assert held.more == ()


async def test_one_that_may_ask_is_told_exactly_and_what_it_has_too_much(redis: Server, connect: Connect) -> None:
    held = await ACCESS.held(connect(redis, cache_keys=f"{PATTERNS}, count, [ab]?:x, [^a]x"), ACT)
    assert held.missing == held.unknown == ()
    assert {"flushall", "shutdown", "acl|setuser"} <= set(held.more)


async def test_asking_changes_nothing(redis: Server, as_user: Any, connect: Connect) -> None:
    def state() -> list[str]:
        return [redis.cli(*words) for words in (("DBSIZE",), ("CONFIG", "GET", "*"), ("ACL", "LIST"))]

    redis.cli("SET", "watchkeeper-no-such-parameter", "mine")
    before = state()
    await ACCESS.held(as_user(redis), ACT)
    await ACCESS.held(connect(redis, cache_keys=PATTERNS), ACT)
    assert state() == before


def test_before_version_7_the_line_has_what_that_version_understands() -> None:
    said = ACCESS.grant(ACT, NAMED, version="6.2.14")
    assert "(" not in said
    assert "function|kill" not in said
    assert "%" not in said
    assert said.endswith("~watchkeeper:probe:* ~catalogue:*")


def test_an_entry_of_an_older_server_is_read_as_far_as_it_tells() -> None:
    wanted = expanded((*commands("ping", "config|set"), *commands("unlink", on="%W~a:*")), ["a:*"])

    def held(words: str, keys: str = "[]") -> list[bool | None]:
        return list(_by_entry("u", wanted, {"commands": words, "keys": keys}, "6.2.0").rights.values())

    assert held("+@all", "['*']") == [True, True, True]
    assert held("-@all +ping +config|get") == [True, False, False]
    assert held("-@all +ping +config +unlink", "['a:*']") == [True, True, True]
    assert held("-@all +@admin -config +ping") == [True, False, None]


def test_no_right_is_declared_by_nobody() -> None:
    """A tool that declares nothing would print a line that is not enough."""
    assert all(tool.rights for tool in CONNECTOR.tools)
