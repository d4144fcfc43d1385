"""A machine over SSH: the host key is checked, a broken or hung connection is replaced, loopback is reached."""
# ruff: noqa: ASYNC220, ASYNC221, ASYNC240, ASYNC110 — small files, and programs that end at once

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from sshd_fixtures import Sshd, keygen
from tests.conftest import free_port

from watchkeeper.connectors.machine import connector as machines
from watchkeeper.connectors.redis import connector
from watchkeeper.domain import WatchkeeperError
from watchkeeper.hosts import Machine, MachineHost, ServiceHost, SshShell


@pytest.fixture
async def shell(sshd: Sshd) -> AsyncIterator[SshShell]:
    opened = sshd.shell()
    yield opened
    await opened.close()


@pytest.fixture
def far_redis(tmp_path: Path) -> Iterator[int]:
    """A redis-server in the background, on loopback alone."""
    port = free_port()
    line = f"setsid redis-server --port {port} --bind 127.0.0.1 --save '' --maxmemory 33mb >log 2>&1 </dev/null &"
    subprocess.run(["sh", "-c", line], check=True, cwd=tmp_path)
    yield port
    subprocess.run(["redis-cli", "-p", str(port), "shutdown", "nosave"], capture_output=True, check=False)


async def refused(shell: SshShell) -> WatchkeeperError:
    with pytest.raises(WatchkeeperError) as problem:
        await shell.run("true")
    await shell.close()
    return problem.value


async def test_a_host_key_that_is_not_the_known_one_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    problem = await refused(sshd.shell(host_key=(tmp_path / "other.pub").read_text()))
    assert "is not the one that is known" in problem.what
    assert "ssh-keyscan" in problem.next_step


async def test_a_host_key_that_nobody_knows_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    problem = await refused(sshd.shell(host_key=None, known_hosts=tmp_path / "none"))
    assert "none is known" in problem.what


async def test_a_line_of_ssh_keyscan_makes_it_known(sshd: Sshd, tmp_path: Path) -> None:
    line = subprocess.run(["ssh-keyscan", "-p", str(sshd.port), "127.0.0.1"], capture_output=True, check=True).stdout
    (tmp_path / "known").write_bytes(line)
    known = sshd.shell(host_key=None, known_hosts=tmp_path / "known")
    assert (await known.run("echo in")).stdout == b"in\n"
    await known.close()


async def test_a_wrong_key_of_ours_is_told(sshd: Sshd, tmp_path: Path) -> None:
    keygen(tmp_path / "mine")
    problem = await refused(sshd.shell(key=(tmp_path / "mine").read_text()))
    assert "authorized_keys" in problem.next_step


async def test_a_machine_that_is_not_there_is_told(sshd: Sshd) -> None:
    assert "cannot be reached over SSH" in (await refused(sshd.shell(port=free_port()))).what


async def test_a_connection_that_is_cut_is_opened_again(sshd: Sshd, shell: SshShell, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    running = asyncio.ensure_future(shell.run('touch "$1"; exec sleep 1000', [str(begun)], timeout=60))
    while not begun.exists():
        await asyncio.sleep(0.01)
    sshd.signal_sessions(signal.SIGKILL)
    with pytest.raises(WatchkeeperError):
        await running
    assert (await shell.run("echo 2")).stdout == b"2\n"


async def test_a_machine_that_hangs_is_cut_off_and_reached_again_when_it_answers(sshd: Sshd, shell: SshShell) -> None:
    assert (await shell.run("echo 1")).exit_code == 0
    hung = sshd.sessions()
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(WatchkeeperError, match="did not end within"):
            await shell.run("true", timeout=0.5)
        async with asyncio.timeout(40):
            while True:
                with suppress(WatchkeeperError):
                    assert (await shell.run("echo 2", timeout=2)).stdout == b"2\n"
                    break
    finally:
        for pid in hung:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def test_a_redis_on_the_loopback_of_another_machine_is_found_reached_and_restarted(
    sshd: Sshd, shell: SshShell, far_redis: int
) -> None:
    async with Machine(shell, name="db1", provider="ssh", labels={"watchkeeper.environment": "staging"}) as machine:
        async with asyncio.timeout(40):
            while not (found := [host for host in await machine.hosts() if far_redis in host.ports]):
                pass
        (host,) = found
        assert host.id == f"ssh:db1/redis-{far_redis}"
        (resource,) = [r async for r in connector.discover(found, {})]
        assert resource.id == f"ssh/staging/redis/db1/redis-{far_redis}"
        assert resource.slug == f"db1-redis-{far_redis}"
        assert resource.runs_on == f"ssh/staging/service/db1/redis-{far_redis}"

        ((address, port),) = await host.endpoints(far_redis)
        assert (address, port) != ("127.0.0.1", far_redis)  # through the connection
        await host.environment()
        async with connector.connect(resource, host) as session:
            reading = await connector.read(session, None)
            assert reading.metrics["maxmemory_bytes"] == 33 << 20
            first = await host.state()
            await host.restart()
            assert (await host.state()).start_count != first.start_count
            again = await connector.read(session, reading)
            assert again.metrics["maxmemory_bytes"] == 33 << 20

        os.kill(host.pid, signal.SIGKILL)
        while (state := await host.state()).status == "running":
            pass
        assert (state.status, state.stopped_by) == ("exited", "unknown")


async def test_a_machine_that_cannot_be_reached_keeps_what_was_known_of_it(sshd: Sshd, far_redis: int) -> None:
    shell = sshd.shell()
    async with Machine(shell, name="db1", provider="ssh") as machine:
        async with asyncio.timeout(40):
            while not [host for host in await machine.hosts() if far_redis in host.ports]:
                pass
        known: list[ServiceHost] = [host for host in await machine.hosts() if far_redis in host.ports]
        shell.port = free_port()
        sshd.signal_sessions(signal.SIGKILL)
        assert (await known[0].state()).status == "unreachable"
        assert known[0] in await machine.hosts()
        assert machine.problem
        assert "cannot be reached over SSH" in machine.problem
        shell.port = sshd.port
        assert (await known[0].state()).status == "running"


async def test_thirty_services_are_one_survey(sshd: Sshd, shell: SshShell, tmp_path: Path) -> None:
    script = "import socket, time; kept = [socket.create_server(('127.0.0.1', 0))]; time.sleep(1000)"
    (tmp_path / "redis-server").symlink_to(os.path.realpath(sys.executable))
    many = [
        subprocess.Popen([str(tmp_path / "redis-server"), "-S", "-c", script], start_new_session=True)
        for _ in range(30)
    ]
    try:
        async with Machine(shell, name="db1", provider="ssh") as machine:
            wanted = {process.pid for process in many}
            async with asyncio.timeout(60):
                while not wanted <= {host.pid for host in await machine.hosts()}:
                    pass
            hosts = [host for host in await machine.hosts() if host.pid in wanted]
            asked: list[object] = []
            run = shell.run

            async def counted(*arguments: object, **named: object) -> object:
                asked.append(arguments)
                return await run(*arguments, **named)  # type: ignore[arg-type]

            shell.run = counted  # type: ignore[method-assign, assignment]
            states = await asyncio.gather(*(host.state() for host in hosts))
            assert {state.status for state in states} == {"running"}
            assert len(asked) in (1, 2)  # a fuller one where the machine has news
    finally:
        for process in many:
            process.kill()
            process.wait()


def test_redis_is_really_on_loopback_alone(far_redis: int) -> None:
    """Else the forward would prove nothing."""
    client = redis.Redis(port=far_redis)
    while True:
        with suppress(redis.ConnectionError):
            assert client.config_get("bind")["bind"] == "127.0.0.1"
            break
    client.close()


async def test_how_a_machine_itself_is_can_be_told_over_ssh(sshd: Sshd) -> None:
    async with Machine(sshd.shell(), name="far", provider="ssh") as opened:
        host = MachineHost(opened)
        (resource,) = [found async for found in machines.discover([host], {})]
        async with machines.connect(resource, host) as session:
            reading = await machines.read(session, None)
    assert resource.id == "ssh/production/machine/far"
    assert reading.ok
    assert reading.metrics["filesystems"] >= 1
    assert reading.metrics["clock_offset_seconds"] < 5.0


async def test_a_machine_that_cannot_be_reached_is_no_data(sshd: Sshd) -> None:
    async with Machine(sshd.shell(port=free_port()), name="far", provider="ssh") as opened:
        host = MachineHost(opened)
        (resource,) = [found async for found in machines.discover([host], {})]
        async with machines.connect(resource, host) as session:
            reading = await machines.read(session, None)
    assert not reading.ok
    assert not reading.metrics
