"""A container as a host, against the real engine."""

import asyncio
import os
import signal
import uuid
from pathlib import Path

import pytest
from engine_fixtures import Run, docker, until_stopped

from watchkeeper.domain import Host, NotFound, Refused, WatchkeeperError, now
from watchkeeper.hosts import Change, ContainerHost, Engine
from watchkeeper.hosts.sockets import namespace

pytestmark = pytest.mark.lab
IGNORES_TERM = ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
REDIS = ("redis-server", "--save", "")
PATIENCE = 60.0
"""Seconds until what must come has come, or the test fails."""


async def test_a_stop_on_purpose_is_told_from_a_kill(run: Run) -> None:
    host = await run(*REDIS)
    seen: dict[str, str] = {}
    for how in (("stop", "-t", "5"), ("kill",), ("kill", "-s", "TERM")):
        await host.start()
        # The first process of a container ignores SIGTERM until it has a handler for it.
        await host.exec(["sh", "-c", "until redis-cli PING; do sleep 0.05; done"])
        await docker(*how, host.name)
        seen[" ".join(how)] = (await until_stopped(host)).stopped_by
    assert seen == {"stop -t 5": "on_purpose", "kill": "killed", "kill -s TERM": "on_purpose"}


async def test_a_stop_that_had_to_kill_is_still_on_purpose(run: Run) -> None:
    host = await run(*IGNORES_TERM)
    await docker("stop", "-t", "1", host.name)
    state = await until_stopped(host)
    assert (state.exit_code, state.stopped_by) == (137, "on_purpose")


async def test_a_process_killed_behind_the_engines_back_was_killed(run: Run) -> None:
    host = await run(*REDIS)
    os.kill((await host.state()).pid, signal.SIGKILL)
    assert (await until_stopped(host)).stopped_by == "killed"


async def test_an_end_of_its_own_is_told_with_its_exit_code(run: Run) -> None:
    host = await run("sh", "-c", "exit 3")
    state = await until_stopped(host)
    assert (state.exit_code, state.stopped_by) == (3, "exited")


async def test_out_of_memory_is_told(run: Run) -> None:
    host = await run("sh", "-c", "head -c 100m /dev/zero | tail", options=["-m", "16m", "--memory-swap", "16m"])
    await until_stopped(host)
    async with asyncio.timeout(PATIENCE):  # the engine's notice of it may come after the end
        while True:
            if (await host.state()).stopped_by == "oom":
                return
            await asyncio.sleep(0.02)


async def test_what_happened_before_we_listened_is_recalled(run: Run) -> None:
    host = await run(*REDIS)
    await docker("stop", host.name)
    async with Engine() as later:
        again = next(h for h in await later.hosts() if h.incarnation == host.incarnation)
        assert not again.story.events
        assert (await again.state()).stopped_by == "on_purpose"


async def lost(engine: Engine, host: ContainerHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine tells no more what befell it, once it was heard."""
    ended = (await until_stopped(host)).finished_at
    assert ended
    async with asyncio.timeout(PATIENCE):
        while not host.story.knows_end(ended):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def forgotten(*_: object) -> object:
        return host.story

    host.story.events.clear()
    monkeypatch.setattr(engine, "recall", forgotten)


async def test_why_it_ended_is_remembered_when_the_engine_tells_it_no_more(
    run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await run(*REDIS)
    await docker("kill", host.name)
    await lost(engine, host, monkeypatch)
    assert (await host.state()).stopped_by == "killed"


async def test_a_stop_that_nobody_heard_of_is_unknown(
    run: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await run(*REDIS)
    await docker("kill", host.name)
    await lost(engine, host, monkeypatch)
    async with Engine() as later:
        monkeypatch.setattr(later, "recall", engine.recall)
        again = next(other for other in await later.hosts() if other.incarnation == host.incarnation)
        assert (await again.state()).stopped_by == "unknown"


async def test_each_start_changes_the_start_count(run: Run) -> None:
    host = await run(*REDIS)
    first = (await host.state()).start_count
    await host.restart()
    second = (await host.state()).start_count
    await docker("restart", host.name)
    assert len({first, second, (await host.state()).start_count}) == 3


async def test_a_paused_container_is_restarted_too(run: Run) -> None:
    host = await run(*REDIS)
    await host.pause()
    assert (await host.state()).status == "paused"
    await host.restart()
    assert (await host.state()).status == "running"


async def test_a_removed_container_is_gone(run: Run, engine: Engine) -> None:
    host: Host = await run(*REDIS)
    await docker("rm", "-f", host.name)
    assert (await host.state()).status == "gone"
    assert host.id not in {h.id for h in await engine.hosts()}
    with pytest.raises(NotFound):
        await host.restart()


async def test_a_recreated_container_is_another_one(run: Run, engine: Engine, image: str) -> None:
    host = await run(*REDIS)
    await docker("rm", "-f", host.name)
    await docker("create", "--name", host.name, image, *REDIS)
    again = next(h for h in await engine.hosts() if h.name == host.name)
    assert again.id == host.id
    assert again.incarnation != host.incarnation


async def test_changes_come_as_they_happen(run: Run, engine: Engine) -> None:
    host = await run(*REDIS)
    heard: asyncio.Queue[Change] = asyncio.Queue()

    async def listen() -> None:
        async for change in engine.changes():
            if change.incarnation == host.incarnation:
                heard.put_nowait(change)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)  # it listens from its first step on
    for action in ("pause", "unpause", "kill"):
        await docker(action, host.name)
    async with asyncio.timeout(PATIENCE):
        actions = [(await heard.get()).action for _ in range(4)]
    task.cancel()
    assert actions == ["pause", "unpause", "kill", "die"]


async def test_files_are_written_and_read_back_with_their_rights_kept(run: Run) -> None:
    host = await run("sleep", "60")
    await host.exec(["sh", "-c", "umask 077; : > /tmp/secret.conf"])
    await host.write_file("/tmp/secret.conf", b"a\x00b")
    assert await host.read_file("/tmp/secret.conf") == b"a\x00b"
    assert (await host.exec(["ls", "-l", "/tmp/secret.conf"])).stdout.startswith("-rw-------")
    with pytest.raises(NotFound):
        await host.read_file("/tmp/nothing")


async def test_a_file_that_is_mounted_is_written_through_where_it_may_be(run: Run, tmp_path: Path) -> None:
    theirs, fixed = tmp_path / "nginx.conf", tmp_path / "fixed.conf"
    theirs.write_text("broken")
    fixed.write_text("as it is")
    (folder := tmp_path / "parts").mkdir()
    (folder / "part.conf").write_text("as it is")
    mounts = [f"{theirs}:/etc/their.conf", f"{fixed}:/etc/fixed.conf:ro", f"{folder}:/etc/parts:ro"]
    host = await run("sleep", "60", options=[word for mount in mounts for word in ("-v", mount)])
    await host.write_file("/etc/their.conf", b"good")
    assert theirs.read_text() == "good"
    assert await host.read_file("/etc/their.conf") == b"good"
    with pytest.raises(Refused, match=f"mounted read-only from {fixed}: change it there"):
        await host.write_file("/etc/fixed.conf", b"good")
    with pytest.raises(Refused, match=f"/etc/parts/part.conf is mounted read-only from {folder / 'part.conf'}: change"):
        await host.write_file("/etc/parts/part.conf", b"good")
    assert fixed.read_text() == "as it is"


async def test_commands_give_their_output_and_exit_code(run: Run) -> None:
    host = await run("sleep", "60")
    result = await host.exec(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")


async def test_a_command_that_hangs_is_cut_off(run: Run) -> None:
    host = await run("sleep", "60")
    with pytest.raises(WatchkeeperError, match=r"did not end within 0\.3 s"):
        await host.exec(["sleep", "30"], timeout=0.3)


async def test_logs_are_followed_over_a_restart(run: Run) -> None:
    began = now()
    host = await run("sh", "-c", "echo hello; sleep 60")
    lines: list[str] = []
    restarted = False
    async with asyncio.timeout(PATIENCE):
        async for at, line in host.logs(since=began):
            assert at > began
            lines.append(line)
            if len(lines) == 2:
                break
            if not restarted:
                restarted = True
                await host.restart(grace=0)
    assert lines == ["hello", "hello"]


async def test_usage_limits_and_addresses(run: Run) -> None:
    host = await run(*REDIS, options=["-m", "64m", "--cpus", "0.5", "-p", "127.0.0.1::6379", "-e", "TOKEN=x=y"])
    limits = await host.limits()
    assert (limits.memory_bytes, limits.cpus, limits.room_bytes) == (64 << 20, 0.5, 64 << 20)
    stats = await host.stats()
    assert 0 < stats.memory_used_bytes < 64 << 20
    assert stats.pids >= 1
    addresses = await host.endpoints(6379)
    assert addresses[0][0] == "127.0.0.1"
    assert addresses[1][1] == 6379
    assert (await host.environment())["TOKEN"] == "x=y"
    assert any(command.startswith("redis-server") for command in await host.processes())
    await host.update_limits(memory_bytes=96 << 20)
    assert (await host.limits()).memory_bytes == 96 << 20


async def test_without_a_limit_there_is_what_its_machine_has_left(run: Run) -> None:
    limits = await (await run(*REDIS)).limits()
    assert limits.memory_bytes is None
    assert limits.room_bytes is not None
    assert 0 < limits.room_bytes < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


async def test_the_command_of_a_stopped_container_is_its_entry_point(run: Run) -> None:
    host = await run(*REDIS)
    await docker("kill", host.name)
    await until_stopped(host)
    assert [command.strip() for command in await host.processes()] == ["redis-server --save"]


async def test_an_engine_that_cannot_be_reached_is_said_and_is_no_end() -> None:
    async with Engine("unix:///nonexistent/docker.sock") as engine:
        assert await engine.hosts() == []
        assert engine.problem is not None
        assert "cannot be reached" in engine.problem
        assert "DOCKER_HOST" in engine.problem


async def test_where_a_container_stands_on_the_network(run: Run) -> None:
    server = await run("redis-server", "--port", "6379", "--protected-mode", "no", options=["-p", "127.0.0.1::6379"])
    client = await run("redis-cli", "-h", server.name, "subscribe", "news", options=["--network-alias", "reader"])
    deadline = asyncio.get_running_loop().time() + 20
    while not (seen := await client.network()).connections:
        assert asyncio.get_running_loop().time() < deadline, seen
        await asyncio.sleep(0.1)  # the rate of looking
    served = await server.network()
    (joined,) = served.attachments
    assert server.name in joined.names
    assert "reader" in seen.attachments[0].names
    assert seen.attachments[0].network == joined.network
    assert [c.remote for c in seen.connections] == [(joined.addresses[0], 6379)]
    assert seen.connections[0].local in {c.remote for c in served.connections}
    assert 6379 in served.listening
    assert list(served.published.values()) == [6379]
    assert served.namespace != seen.namespace
    assert served.machine == seen.machine


async def test_a_container_on_the_machines_own_network_is_told_only_its_own_sockets(engine: Engine, image: str) -> None:
    name = f"wk-test-{uuid.uuid4().hex[:8]}"
    await docker("run", "-d", "--name", name, "--network", "host", image, "sleep", "60")
    try:
        host = next(host for host in await engine.hosts() if host.name == name)
        seen = await host.network()
        assert seen.namespace == seen.machine == namespace(os.getpid())
        assert (seen.listening, seen.connections) == (frozenset(), ())
    finally:
        await docker("rm", "-f", name)


async def test_a_stopped_container_is_still_known_by_its_names(run: Run) -> None:
    host = await run("sleep", "60", options=["--network-alias", "cache"])
    await docker("stop", "-t", "0", host.name)
    await until_stopped(host)
    host.changed()
    seen = await host.network()
    assert "cache" in seen.attachments[0].names
    assert (seen.listening, seen.connections) == (frozenset(), ())
