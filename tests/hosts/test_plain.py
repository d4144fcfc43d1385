"""Plain processes of this machine: found, told apart, ended and started again as they were."""
# ruff: noqa: ASYNC221, ASYNC240 — small files, and a shell that ends at once

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import free_port

from watchkeeper.domain import Refused
from watchkeeper.hosts import LocalShell, Machine, ServiceHost

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="why a process ended is told to root alone")
SERVER = """
import http.server, os, sys
print("begins", os.environ.get("COLOUR"), sys.argv[2:], os.getcwd(), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""
Start = Callable[..., Awaitable[ServiceHost]]


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    async with Machine(LocalShell()) as opened:
        yield opened


@pytest.fixture
async def start(machine: Machine, tmp_path: Path) -> AsyncIterator[Start]:
    """A small server started in the background by a shell that is gone: `await start("argument")`."""
    (tmp_path / "server.py").write_text(SERVER)
    started: list[ServiceHost] = []

    async def begin(*arguments: str, prefix: str = "", runner: str = sys.executable) -> ServiceHost:
        port = free_port()
        line = f'{prefix} setsid {runner} server.py {port} "$@" >>out 2>>err </dev/null &'
        environment = {**os.environ, "COLOUR": "dark\nblue"}
        subprocess.run(["sh", "-c", line, "sh", *arguments], check=True, cwd=tmp_path, env=environment)
        async with asyncio.timeout(30):
            while not (found := [h for h in await machine.hosts() if port in h.ports]):
                pass  # a survey takes its time
        started.append(found[0])
        await found[0].environment()
        return found[0]

    yield begin
    await machine.look(full=True)
    for service in started:
        if service.pid:
            os.kill(service.pid, signal.SIGKILL)


async def until(service: ServiceHost, status: str) -> None:
    async with asyncio.timeout(30):
        while (await service.state()).status != status:
            pass


async def test_a_process_that_listens_is_a_service_with_its_port_command_and_variables(start: Start) -> None:
    service = await start("--size", "a b")
    (port,) = service.ports
    state = await service.state()

    assert service.name.endswith(f"-{port}")
    assert service.id == f"local:{service.name}"
    assert (state.status, state.pid, state.stopped_by) == ("running", service.pid, "")
    assert list(await service.processes()) == [f"{sys.executable} server.py {port} --size a b"]
    assert (await service.environment())["COLOUR"] == "dark\nblue"
    assert await service.endpoints(port) == (("127.0.0.1", port),)
    assert (await service.usage()).memory_used_bytes > 1 << 20
    limit = (await service.limits()).memory_bytes
    assert limit is not None
    assert limit > 1 << 20
    assert port in (await service.network()).listening


async def test_it_is_restarted_as_it_was(start: Start, tmp_path: Path) -> None:
    arguments = ["a b", "", "'", '"$(id)"', "new\nline\n", "é\\0101", "-n", "*", "x=1"]
    service = await start(*arguments, prefix="ulimit -n 777; umask 027;")
    before, first = await service.processes(), await service.state()

    await service.restart()
    again = await service.state()

    assert again.pid != first.pid
    assert again.start_count != first.start_count
    assert await service.processes() == before
    begun = (tmp_path / "out").read_text()
    assert begun.count(f"begins dark\nblue {arguments!r} {tmp_path}\n") == 2
    status = Path(f"/proc/{again.pid}/status").read_text()
    assert "Umask:\t0027" in status
    assert "777" in Path(f"/proc/{again.pid}/limits").read_text()
    assert os.getsid(again.pid) == again.pid  # of a session of its own: it does not end with us
    ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn"))[8:], 16)
    assert not ignored & 1 << (signal.SIGINT - 1)


@needs_root
@pytest.mark.parametrize(
    ("number", "cause", "code"),
    [
        (signal.SIGKILL, "killed", 137),
        (signal.SIGTERM, "on_purpose", 143),
        (signal.SIGSEGV, "exited", 139),
    ],
)
async def test_the_kernel_tells_why_it_ended(
    start: Start, machine: Machine, number: signal.Signals, cause: str, code: int
) -> None:
    service = await start()
    changes = machine.changes()
    told = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    pid = service.pid
    os.kill(pid, number)
    async with asyncio.timeout(30):
        assert await told == pid
    await until(service, "exited")
    state = await service.state()

    assert (state.stopped_by, state.exit_code, state.pid) == (cause, code, 0)
    assert state.finished_at is not None
    assert (await service.processes())[0].startswith(sys.executable)

    await service.start()
    assert (await service.state()).status == "running"


async def test_without_the_right_to_hear_nobody_knows_why(start: Start, machine: Machine) -> None:
    service = await start()
    assert machine.exits is not None
    machine.exits.stop()
    os.kill(service.pid, signal.SIGKILL)
    await until(service, "exited")
    assert (await service.state()).stopped_by == "unknown"


async def test_one_that_somebody_else_started_again_is_the_same_service(start: Start, tmp_path: Path) -> None:
    service = await start()
    (port,) = service.ports
    first = await service.state()
    os.kill(first.pid, signal.SIGKILL)
    subprocess.run(
        ["sh", "-c", f"setsid {sys.executable} server.py {port} >>out 2>>err </dev/null &"], check=True, cwd=tmp_path
    )
    async with asyncio.timeout(30):
        while (again := await service.state()).pid in (0, first.pid):
            await service.machine.hosts()
    assert again.start_count != first.start_count
    await service.start()  # nothing happens: it runs
    assert (await service.state()).pid == again.pid


async def test_a_halted_one_goes_on(start: Start) -> None:
    service = await start()
    os.kill(service.pid, signal.SIGSTOP)
    await until(service, "paused")
    await service.unpause()
    await until(service, "running")


async def test_what_a_supervisor_keeps_running_is_restarted_there(start: Start, tmp_path: Path) -> None:
    (tmp_path / "supervisord").symlink_to(sys.executable)
    keeper = tmp_path / "keeper.py"
    keeper.write_text("import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])")
    service = await start(runner=f"{tmp_path}/supervisord keeper.py")
    with pytest.raises(Refused, match="kept running by supervisord") as refused:
        await service.restart()
    assert "supervisorctl restart" in refused.value.next_step


async def test_many_that_ask_at_once_share_one_survey(start: Start, machine: Machine) -> None:
    service = await start()
    asked = 0
    run = machine.shell.run

    async def counted(*arguments: object, **named: object) -> object:
        nonlocal asked
        asked += 1
        return await run(*arguments, **named)  # type: ignore[arg-type]

    machine.shell.run = counted  # type: ignore[method-assign]
    states = await asyncio.gather(*(service.state() for _ in range(30)))
    assert {state.status for state in states} == {"running"}
    assert asked in (1, 2)  # a fuller one where the machine has news: another process that may be one of ours


async def test_a_file_is_replaced_as_a_whole_and_keeps_mode_and_owner(start: Start, tmp_path: Path) -> None:
    service = await start()
    path = tmp_path / "it's a $(file)"
    path.write_bytes(b"old")
    path.chmod(0o640)
    content = bytes(range(256)) * 50
    await service.write_file(str(path), content)
    assert await service.read_file(str(path)) == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert not [name for name in os.listdir(tmp_path) if "watchkeeper" in name]


async def test_its_output_is_its_log(start: Start, tmp_path: Path) -> None:
    service = await start()
    lines = service.logs()
    following = asyncio.ensure_future(anext(lines))
    async with asyncio.timeout(30):
        while not following.done():
            with (tmp_path / "out").open("a") as out:
                out.write("one line\n")
            await asyncio.wait({following}, timeout=0.2)
    assert following.result()[1] == "one line"
    await lines.aclose()  # type: ignore[attr-defined]


async def test_a_process_seen_while_it_ends_keeps_the_command_it_was_started_with(
    machine: Machine, start: Start
) -> None:
    """Between losing its memory and being gone, a process has no command line: the kernel shows an empty one."""
    service = await start()
    command = await service.processes()
    survey = await machine.look(full=True)
    survey.processes[service.pid] = replace(survey.processes[service.pid], argv=())
    service.update(survey)
    os.kill(service.pid, signal.SIGTERM)
    await until(service, "exited")

    assert await service.processes() == command
