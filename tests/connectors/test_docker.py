"""Containers as resources, against the real engine; and Redis in one of them."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_fixtures import Run, docker, until_stopped

from watchkeeper.connectors.docker import connector
from watchkeeper.connectors.docker import tools as hands
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.connectors.redis import connector as redis
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.tools import redis_restart
from watchkeeper.domain import Reading, Refused, now
from watchkeeper.domain.change import CREATED, STARTED
from watchkeeper.hosts import ContainerHost, Engine
from watchkeeper.hosts.ends import Ends
from watchkeeper.hosts.kept import Kept
from watchkeeper.watch.clues import last_words

pytestmark = pytest.mark.lab
REDIS = ("redis-server", "--save", "", "--maxmemory", "50mb", "--protected-mode", "no")
PATIENCE = 60.0
"""Seconds until what must come has come, or the test fails."""
LABELS = ["-l", "watchkeeper.environment=lab", "-l", "watchkeeper.act=true", "-m", "256m"]


async def session_with(host: ContainerHost) -> ContainerSession:
    (resource,) = [r async for r in connector.discover([host], {})]
    return ContainerSession(resource, host)


async def redis_seen(session: RedisSession, last: Reading | None, **wanted: float) -> Reading:
    """The first reading of Redis that tells this: a server takes a moment to listen, a busy engine one to answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            reading = await redis.read(session, last)
            if all(reading.metrics.get(name) == value for name, value in wanted.items()):
                return reading
            await asyncio.sleep(0.05)  # the rate of looking


def firing(reading: Reading) -> set[str]:
    """The rules whose condition holds."""
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


async def test_a_container_is_looked_at(run: Run) -> None:
    host = await run(*REDIS, options=LABELS)
    session = await session_with(host)
    assert session.resource.id == f"docker/lab/container/{host.name}"
    assert session.resource.may_act
    first = await connector.read(session, None)
    await asyncio.sleep(0.06)  # a rate needs some time between two looks
    second = await connector.read(session, first)
    optional = {"exit_code", "ended_seconds", "oom_kills", "dns_failing", "dns_seconds"}  # it uses no names
    assert set(connector.sample.metrics) - set(second.metrics) <= optional
    assert set(second.metrics) <= set(connector.sample.metrics)
    assert 0 < second.metrics["memory_ratio"] < 0.5
    assert (second.state, firing(second)) == ("running", set())
    assert (await connector.probe(session)).ok is True


async def test_a_container_held_back_by_its_processor_limit_is_told_and_one_without_a_limit_is_not(run: Run) -> None:
    free = await session_with(await run("sh", "-c", "exec sleep 600"))
    held = await session_with(await run("sh", "-c", "while :; do :; done", options=["--cpus", "0.02"]))
    async with asyncio.timeout(PATIENCE):
        reading = await connector.read(held, None)
        while "container-cpu-throttled" not in firing(reading):
            await asyncio.sleep(0.3)  # periods of 100 ms must pass between two looks
            reading = await connector.read(held, reading)
    first = await connector.read(free, None)
    await asyncio.sleep(0.06)
    assert (await connector.read(free, first)).metrics["cpu_throttled_ratio"] == 0.0


@pytest.mark.parametrize(("check", "said"), [("true", True), ("false", None)])
async def test_a_health_check_whose_turn_has_not_come_yet_is_asked_at_once(
    run: Run, check: str, said: bool | None
) -> None:
    checked = [*LABELS, "--health-cmd", check, "--health-interval", "10m"]
    host = await run("sleep", "600", options=checked)
    assert (await host.state()).health == "starting"
    assert (await connector.probe(await session_with(host))).ok is said


async def test_a_container_ends_within_the_time_it_declares(run: Run) -> None:
    host = await run("sh", "-c", "trap '' TERM; while :; do sleep 1; done", options=["--stop-timeout", "1"])
    before = await host.state()
    async with asyncio.timeout(PATIENCE):
        await host.restart(grace=10 * PATIENCE)  # by force after what it declares, not after this
    assert (await host.state()).start_count > before.start_count


async def test_what_befalls_a_container_is_told_and_a_stop_on_purpose_raises_nothing(run: Run) -> None:
    host = await run(*REDIS)
    session = await session_with(host)
    last = await connector.read(session, None)
    seen: dict[str, tuple[str, set[str]]] = {}
    for action in ("pause", "unpause", "kill", "start", "stop"):
        await docker(action, host.name)
        last = await connector.read(session, last)
        seen[action] = (last.state, firing(last))
    assert seen == {
        "pause": ("paused", {"container-paused"}),
        "unpause": ("running", set()),
        "kill": ("killed (exit code 137)", {"container-killed"}),
        "start": ("running", set()),
        "stop": ("stopped on purpose", set()),
    }
    assert last.off
    assert (await connector.probe(session)).ok is False


async def test_what_ended_in_peace_before_it_was_seen_raises_nothing(run: Run) -> None:
    host = await run("sh", "-c", "exit 0")
    await until_stopped(host)
    session = await session_with(host)
    first = await connector.read(session, None)
    assert (first.state, firing(first)) == ("stopped before it was watched", set())
    assert firing(await connector.read(session, first)) == set()


async def test_an_unexplained_stop_asks_and_one_long_ago_does_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await run(*REDIS)
    await docker("kill", host.name)
    state = await until_stopped(host)
    session = await session_with(host)
    for finished, expected in ((now(), {"container-stopped-unexplained"}), (now() - timedelta(hours=1), set[str]())):

        async def unexplained(self: ContainerHost, at: object = finished) -> object:
            return type(state)("exited", 0, state.start_count, None, at, 137, "unknown")  # type: ignore[arg-type]

        monkeypatch.setattr(ContainerHost, "state", unexplained)
        assert firing(await connector.read(session, None)) == expected
    assert next(rule for rule in connector.rules if rule.id == "container-stopped-unexplained").confirm


async def test_ends_of_its_own_within_minutes_are_a_crash_loop(run: Run) -> None:
    host = await run("sh", "-c", "exit 3")
    session = await session_with(host)
    for _ in range(2):
        await until_stopped(host)
        assert "container-restarting" not in firing(await connector.read(session, None))
        await host.start()
    await until_stopped(host)
    reading = await connector.read(session, None)
    assert {"container-restarting", "container-killed"} <= firing(reading)


async def test_what_looped_before_anybody_watched_is_told_with_the_first_look(run: Run) -> None:
    host = await run("sh", "-c", "exit 3", options=["--restart", "always"])
    async with asyncio.timeout(PATIENCE):  # until the engine waits for more than a second between two starts
        while True:
            state = await host.state()
            if (
                state.status == "restarting"
                and state.finished_at
                and now() - state.finished_at > timedelta(seconds=2)  # it waits for 3.2 s then
            ):
                break
            await asyncio.sleep(0.1)  # the rate of looking
    session = await session_with(host)
    host.story.events.clear()  # as if the engine had forgotten all that was before
    reading = await connector.read(session, None)
    assert {"container-restarting", "container-keeps-ending"} <= firing(reading)
    host.story.events.clear()
    assert "container-restarting" in firing(await connector.read(session, reading))  # also while it runs for a moment


async def test_why_it_ended_is_known_after_the_engine_has_forgotten_and_we_were_started_anew(
    run: Run, tmp_path: Path
) -> None:
    host = await run("sh", "-c", "exit 3")
    await until_stopped(host)
    told: list[str] = []
    for forgets in (False, True):
        host.engine.ends = Ends(Kept(tmp_path))  # as after a start of ours
        if forgets:
            host.story.events.clear()
            host.engine.recall = forgotten  # type: ignore[method-assign]
        told.append((await connector.read(await session_with(host), None)).state)
    assert told == ["ended by itself (exit code 3)"] * 2


async def forgotten(*_: object) -> None:
    """The engine's last 256 events are of others."""


async def test_a_job_that_failed_is_not_run_again_and_a_service_that_crashed_is(run: Run) -> None:
    job = await session_with(await run("sh", "-c", "exit 3", options=LABELS))
    service = await session_with(await run("sh", "-c", "exit 3", options=[*LABELS, "--expose", "80"]))
    for session in (job, service):
        await until_stopped(session.host)
    told = [hands.docker_start.refusal(await connector.read(session, None), {}) for session in (job, service)]
    assert told[1] is None
    assert "exit code 3" in (told[0] or "")
    assert "it may be a job" in (told[0] or "")


async def test_a_removed_container_is_a_look_that_failed(run: Run) -> None:
    host = await run(*REDIS)
    session = await session_with(host)
    await docker("rm", "-f", host.name)
    reading = await connector.read(session, None)
    assert reading.state == "removed"
    assert reading.error
    assert firing(reading) == set()


async def test_the_tools_do_what_they_say_and_tell_that_they_did(run: Run) -> None:
    host = await run(*REDIS)
    session = await session_with(host)
    await docker("pause", host.name)
    assert hands.docker_unpause.refusal(await connector.read(session, None), {}) is None
    assert await hands.paused(session) is True
    await hands.docker_unpause.run(session)
    assert await hands.paused(session) is False
    with pytest.raises(Refused, match="not paused"):
        await hands.docker_unpause.run(session)
    before = await hands.start_count(session)
    await hands.docker_restart.run(session)
    restarted = await hands.start_count(session)
    assert restarted != before
    assert hands.docker_start.refusal(await connector.read(session, None), {}) == "It is running already."
    await docker("kill", host.name)
    assert hands.docker_start.refusal(await connector.read(session, None), {}) is None
    await hands.docker_start.run(session)
    assert await hands.start_count(session) != restarted
    assert (await host.state()).status == "running"


async def test_a_memory_limit_is_set_and_restored_but_never_below_what_is_used(run: Run) -> None:
    host = await run(*REDIS, options=["-m", "64m"])
    session = await session_with(host)
    fill = "redis-cli EVAL \"for i=1,30 do redis.call('set', i, string.rep('x', 1000000)) end\" 0"
    await host.exec(["sh", "-c", f"until redis-cli PING; do sleep 0.1; done; {fill}"])
    reading = await connector.read(session, None)
    update = hands.docker_update_limits
    assert "leaves less than a tenth" in (update.refusal(reading, update.parse({"memory_bytes": 17 << 20})) or "")
    with pytest.raises(Refused, match="would not hold it"):
        await update.run(session, memory_bytes=17 << 20)
    before = await hands.memory_limit(session)
    assert await update.run(session, memory_bytes=128 << 20) == {"before": 64 << 20, "now": 128 << 20}
    limit = next(one for one in await connector.declared(session) if one.key == "memory_bytes")
    assert (limit.line, limit.where) == ("--memory 128m", "the command that makes the container")
    assert update.undo_run
    await update.undo_run(session, before)
    assert (await host.limits()).memory_bytes == 64 << 20


async def test_labels_and_options_are_part_of_what_a_container_is_configured_with(run: Run) -> None:
    async def configured(*options: str) -> dict[str, str]:
        session = await session_with(await run("sleep", "600", options=options))
        said = (await connector.read(session, None)).configuration
        return {name: value for name, value in (said or {}).items() if name not in (STARTED, CREATED)}

    labels = ["-l", "watchkeeper.http.port=8000", "-l", "watchkeeper.redis.password=hunter2"]
    plain, again = await configured(), await configured()
    assert plain == again
    treated, other, capable = [await configured(*more) for more in (labels, ["-l", "team=a"], ["--cap-drop", "KILL"])]
    assert treated["labels"] == "watchkeeper.http.port=8000 watchkeeper.redis.password=***"
    differ = [{name for name in plain if one[name] != plain[name]} for one in (treated, other, capable)]
    assert differ == [{"labels"}, {"other_labels"}, {"options"}]


async def test_no_look_up_shows_a_secret(run: Run) -> None:
    options = ["-e", "DATABASE_URL=postgres://u:hunter2@db", "-e", "PLAIN=hunter2"]
    host = await run("redis-server", "--save", "", "--requirepass", "hunter2", options=options)
    session = await session_with(host)
    shown = await hands.docker_inspect.run(session)
    assert shown["environment"]["DATABASE_URL"] == "***"
    assert "hunter2" not in repr(shown)
    assert "hunter2" not in repr(await connector.read(session, None))
    assert await hands.docker_stats.run(session)
    async with asyncio.timeout(PATIENCE):  # the engine hands a line on a moment after it was written
        async for _, line in host.logs(since=now() - timedelta(minutes=1)):
            if "Ready to accept" in line:
                break
    assert any("Ready to accept" in line for line in await hands.docker_logs.run(session))


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-01 12:00:00 ERROR could not connect", "ERROR"),
        ('{"level": "warning", "message": "slow"}', "WARNING"),
        ('{"severity": "CRITICAL"}', "CRITICAL"),
        ("Traceback (most recent call last):\n  ...\nValueError: x", "ERROR"),
        ("INFO: 127.0.0.1 GET / 200 no ERROR here", None),
        ("all is well", None),
    ],
)
def test_levels_are_told_from_plain_and_json_lines(line: str, level: str | None) -> None:
    assert connector.level(line) == level


async def test_a_redis_in_a_container_is_found_looked_at_and_probed(run: Run, engine: Engine) -> None:
    host = await run(*REDIS, options=LABELS)
    (resource,) = [r async for r in redis.discover([host], {})]
    assert resource.runs_on == f"docker/lab/container/{host.name}"
    async with redis.connect(resource, host) as session:
        reading = await redis_seen(session, None, up=1)
        assert reading.ok
        assert reading.metrics["safe_maxmemory_bytes"] == int(0.6 * (256 << 20))
        assert (await redis.probe(session)).ok is True
        await docker("pause", host.name)
        paused = await redis_seen(session, reading, host_paused=1)
        await docker("unpause", host.name)
        assert paused.metrics["unresponsive_seconds"] == 0
        await docker("stop", "-t", "5", host.name)
        stopped = await redis_seen(session, paused, host_stopped_on_purpose=1)
        assert {rule.id for rule in redis.rules if rule.when.holds(stopped.scope())} == set()
        (again,) = await redis.starting_with(session, {"timeout": "77"})
        assert (again.live, again.declared, again.where) == ("77", "0", "no file")


async def test_a_server_that_has_never_answered_is_given_the_time_to_begin(run: Run) -> None:
    host = await run("sh", "-c", "sleep 600; exec redis-server", options=LABELS)
    found = [one async for one in redis.discover([host], {})]
    resource = found[0] if found else replace((await session_with(host)).resource, kind="redis")
    down = next(rule for rule in redis.rules if rule.id == "redis-down")
    async with redis.connect(resource, host) as session:
        reading = await redis.read(session, None)
        assert (reading.metrics["up"], reading.metrics["host_starting"]) == (0.0, 1.0)
        assert not down.when.holds(reading.scope())
        assert "has not answered yet" in (redis_restart.refusal(reading, {}) or "")
        long_ago = replace(reading, metrics={**reading.metrics, "host_starting": 0.0})
        assert down.when.holds(long_ago.scope())


async def test_a_slot_is_freed_inside_the_containers_own_network(run: Run) -> None:
    host = await run(*REDIS, "--maxclients", "8", options=LABELS)
    (resource,) = [r async for r in redis.discover([host], {})]
    each = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 90 | redis-cli -h {} & sleep 0.1; done; wait"
    holders = [  # more than there is room for, one after the other: a look of ours may be in the way of some
        await run("sh", "-c", each.format(address)) for address in {ip for ip, _ in await host.endpoints(6379)}
    ]
    async with redis.connect(resource, host) as session:
        async with asyncio.timeout(PATIENCE):
            while True:
                reading = await redis.read(session, None)
                await session.aclose()  # as if we had crashed: no session is left
                if reading.facts.get("error") == "exhausted":
                    break
                await asyncio.sleep(0.1)
        (address,) = {ip for ip, _ in await holders[0].endpoints(1)}
        assert reading.facts["top_client_address"] == address
        kill = next(tool for tool in redis.tools if tool.name == "redis_kill_clients")
        await asyncio.sleep(1.1)  # Redis counts idle time in whole seconds
        result = await kill.run(session, address=address, min_idle_seconds=1)
        assert result["freed_to_get_in"] >= 1
        assert result["ended"] >= 5
        assert (await redis.read(session, reading)).ok


async def test_what_ended_at_once_has_its_last_log_lines_in_the_diagnosis(run: Run) -> None:
    host = await run("sh", "-c", "echo settings are read >&2; echo no such setting: colour hunter22 >&2; exit 3")
    session = await session_with(host)
    await until_stopped(host)
    reading = await connector.read(session, None)
    watcher = SimpleNamespace(resource=session.resource, host=host, last=reading)
    watched: Any = SimpleNamespace(fleet=SimpleNamespace(resources={}), watchers={session.resource.id: watcher})
    found = await last_words(session.resource.id, watched, lambda line: line.replace("hunter22", "•••"))
    assert [evidence.what for evidence in found] == [
        "among its last log lines: settings are read",
        "among its last log lines: no such setting: colour •••",
    ]
    watcher.last = replace(reading, metrics={"exited": 0.0})
    assert await last_words(session.resource.id, watched, str) == ()
