"""A Redis that answers and takes no writes, or cannot save: seen, set right, and put back as it was."""

import os
from pathlib import Path

import pytest
from redis_fixtures import Connect, MakeServer, ProcessHost, Server, needs_root

from watchkeeper.connectors.redis import connector, tools, writes
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import Reading, Refused, Tool

NOBODY = ("192.0.2.7", "6379")


async def look(session: RedisSession, last: Reading | None = None) -> Reading:
    session.soon("configuration")
    return await connector.read(session, last)


def firing(reading: Reading) -> set[str]:
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


def refusal(reading: Reading, tool: Tool[RedisSession], **arguments: object) -> str:
    return tool.refusal(reading, tool.parse(arguments)) or ""


async def refused_writes(server: Server, session: RedisSession) -> Reading:
    """What is seen while clients write and are refused."""
    before = await look(session)
    assert "redis-writes-refused" not in firing(before)
    for _ in range(3):
        assert "OK" not in server.cli("SET", "cart:1", "x")
    return await look(session, before)


async def test_a_primary_that_was_told_to_follow_nobody_is_promoted_and_that_can_be_taken_back(
    server: MakeServer, connect: Connect
) -> None:
    one = await server()
    one.fill("cart", 50)
    session = connect(one)
    await look(session)
    one.cli("REPLICAOF", *NOBODY)
    reading = await refused_writes(one, session)
    assert "redis-writes-refused" in firing(reading)
    assert reading.facts["primary"] == ":".join(NOBODY)
    assert not refusal(reading, tools.redis_promote)

    before = await writes.primary(session)
    await tools.redis_promote.run(session)
    assert one.cli("SET", "cart:1", "x") == "OK"
    assert "redis-writes-refused" not in firing(await look(session, reading))
    assert one.cli("DBSIZE").endswith("50"), "it holds what it held"
    with pytest.raises(Refused, match="a primary already"):
        await tools.redis_promote.run(session)

    assert tools.redis_promote.undo_run
    await tools.redis_promote.undo_run(session, before)
    assert await writes.primary(session) == before == {"host": NOBODY[0], "port": 6379}


async def test_a_replica_that_has_followed_its_primary_or_was_never_one_itself_is_not_promoted(
    server: MakeServer, connect: Connect
) -> None:
    master, other = await server(), await server()
    replica = await server("--replicaof", "127.0.0.1", str(master.port))
    born, turned = connect(replica), connect(other)
    await look(turned)
    other.cli("REPLICAOF", "127.0.0.1", str(master.port))
    reading = await look(turned)
    while reading.metrics["replica_link_up"] < 1:
        reading = await look(turned, reading)
    assert "It hears its primary" in refusal(reading, tools.redis_promote)
    master.kill()
    while reading.metrics["replica_link_up"] > 0:
        reading = await look(turned, reading)
    with pytest.raises(Refused, match="It has followed its primary"):
        await tools.redis_promote.run(turned)
    assert "not seen as a primary" in refusal(await look(born), tools.redis_promote)
    assert "a primary already" in refusal(await look(connect(await server())), tools.redis_promote)


async def test_where_more_replicas_are_wanted_than_there_are_fewer_may_be_wanted(
    server: MakeServer, connect: Connect
) -> None:
    one = await server("--min-replicas-to-write", "2")
    session = connect(one)
    reading = await refused_writes(one, session)
    assert "redis-writes-refused" in firing(reading)
    assert reading.metrics["min_replicas_to_write"] == 2.0
    assert "would go on refusing" in refusal(reading, tools.redis_set_min_replicas, value=1)
    assert not refusal(reading, tools.redis_set_min_replicas, value=0)
    before = await writes.wanted_replicas(session)
    assert await tools.redis_set_min_replicas.run(session, value=0) == {"before": 2, "now": 0}
    assert one.cli("SET", "cart:1", "x") == "OK"
    assert "that stops no write" in refusal(await look(session, reading), tools.redis_set_min_replicas, value=0)
    assert tools.redis_set_min_replicas.undo_run
    await tools.redis_set_min_replicas.undo_run(session, before)
    assert await writes.wanted_replicas(session) == 2


@needs_root
async def test_files_that_were_left_to_another_are_given_back_and_nothing_elsewhere_is_touched(
    server: MakeServer, connect: Connect, tmp_path: Path
) -> None:
    one = await server("--appendonly", "yes")
    session = connect(one, host=ProcessHost(one))
    with pytest.raises(Refused, match="belong to whom it runs as"):
        await tools.redis_own_folder.run(session)
    mine, elsewhere = one.folder / "appendonlydir", tmp_path / "elsewhere"
    elsewhere.touch()
    for path in (mine, *mine.iterdir(), elsewhere):
        os.chown(path, 65534, 65534)
    before = await writes.owners(session)
    assert set(before.values()) == {"65534:65534"}
    assert len(before) == 1 + len(list(mine.iterdir()))
    assert "It saves what it holds" in refusal(await look(session), tools.redis_own_folder)
    await tools.redis_own_folder.run(session)
    assert {path.stat().st_uid for path in mine.iterdir()} == {os.getuid()}
    assert elsewhere.stat().st_uid == 65534
    assert tools.redis_own_folder.undo_run
    await tools.redis_own_folder.undo_run(session, {str(mine): "65534:65534"})
    assert mine.stat().st_uid == 65534


async def test_a_folder_that_is_not_its_own_alone_is_left_alone(server: MakeServer, connect: Connect) -> None:
    one = await server()
    for number in range(writes.MOST_FILES + 1):
        (one.folder / f"{number}.txt").touch()
    with pytest.raises(Refused, match="not only its own"):
        await tools.redis_own_folder.run(connect(one, host=ProcessHost(one)))
