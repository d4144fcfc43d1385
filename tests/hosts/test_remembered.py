"""How plain processes were started, kept over a restart of Watchkeeper itself: what is kept, what is not trusted."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from test_plain import SERVER
from tests.conftest import free_port

from watchkeeper.domain import now
from watchkeeper.hosts import LocalShell, Machine, ServiceHost
from watchkeeper.hosts.proc import Process, Survey
from watchkeeper.hosts.recipe import Recipe
from watchkeeper.hosts.remembered import LARGEST, Memory, Remembered

HERE = Survey(full=True, boot="a-boot", pid_namespace="pid:[1]")
ODD = 'é\udcff"\n'
"""Text as the kernel may give it: bytes that are no UTF-8 too."""
RECIPE = Recipe("/usr/bin/x", "/", "/log", "/log", "0", "0", "0", "0022", "1:2", "0::/", {"SECRET": f"hunter2{ODD}"})
ONE = Remembered(
    name="x-80",
    ports={80: ("0.0.0.0",), 81: ("127.0.0.1", "::1")},
    process=Process(7, 1, "x", "S", 1234, 0, 0, 0, ("x", "--password", f"hunter2{ODD}", ""), "0::/"),
    recipe=RECIPE,
    told=(("-",), b"requirepass hunter2\n\x00\xff"),
    log="/var/log/x",
)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "processes" / "local.json")


def test_what_was_written_is_read_again(memory: Memory) -> None:
    ended = Remembered("y-90", {90: ()}, Process(8, 1, "y", "S", 5, 0, 0), finished=now(), end=("oom", 137))
    memory.write(HERE, [ONE, ended])
    assert memory.read(HERE) == [ONE, ended]


def test_the_file_is_its_users_alone_and_replaced_as_a_whole(memory: Memory) -> None:
    memory.write(HERE, [ONE])
    first = memory.path.stat()
    memory.write(HERE, [ONE])
    assert stat.S_IMODE(first.st_mode) == 0o600
    assert stat.S_IMODE(memory.path.parent.stat().st_mode) == 0o700
    assert memory.path.stat().st_ino != first.st_ino
    assert os.listdir(memory.path.parent) == ["local.json"]


def test_nothing_of_it_is_shown_by_accident() -> None:
    assert "hunter2" not in repr(ONE)


@pytest.mark.parametrize(
    "elsewhere",
    [Survey(full=True, boot="another", pid_namespace="pid:[1]"), Survey(full=True, boot="a-boot")],
    ids=["after a reboot", "in a container"],
)
def test_it_says_nothing_of_another_boot_and_another_container(memory: Memory, elsewhere: Survey) -> None:
    memory.write(HERE, [ONE])
    assert memory.read(elsewhere) == []


def corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def of_another_shape(path: Path) -> None:
    whole = json.loads(path.read_text())
    whole["processes"][0]["recipe"]["environment"] = ["SECRET=hunter2"]
    path.write_text(json.dumps(whole))


def of_another_type(path: Path) -> None:
    path.write_text(path.read_text().replace('"pid": 7', '"pid": "hunter2"'))


def of_another_version(path: Path) -> None:
    path.write_text('{"version": 99, "hunter2": 1}')


def no_object(path: Path) -> None:
    path.write_text('["hunter2"]')


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def readable_by_others(path: Path) -> None:
    path.chmod(0o640)


def a_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def too_large(path: Path) -> None:
    os.truncate(path, LARGEST + 1)


def of_another_user(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, -1)


@pytest.mark.parametrize(
    "damage",
    [
        corrupt,
        of_another_shape,
        of_another_type,
        of_another_version,
        no_object,
        nested,
        readable_by_others,
        a_link,
        a_pipe,
        a_folder,
        too_large,
        of_another_user,
    ],
)
def test_a_file_that_cannot_be_trusted_is_told_and_not_used(memory: Memory, damage: Callable[[Path], None]) -> None:
    memory.write(HERE, [ONE])
    damage(memory.path)
    with capture_logs() as told:
        assert memory.read(HERE) == []
    (warning,) = told
    assert warning["log_level"] == "warning"
    assert warning["file"] == str(memory.path)
    assert warning["problem"]
    assert "hunter2" not in str(warning)


def test_none_is_no_reason_for_a_warning(memory: Memory) -> None:
    with capture_logs() as told:
        assert memory.read(HERE) == []
    assert not told


def test_what_does_not_fit_is_named_once_and_the_rest_is_kept(memory: Memory) -> None:
    large = Remembered("z-1", {}, ONE.process, told=((), bytes(LARGEST)))
    with capture_logs() as told:
        memory.write(HERE, [large, ONE])
        memory.write(HERE, [large, ONE])
    assert [entry["problem"] for entry in told] == ["no room for z-1"]
    assert memory.path.stat().st_size <= LARGEST
    assert memory.read(HERE) == [ONE]


def test_a_place_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "local.json")
    with capture_logs() as told:
        memory.write(HERE, [ONE])
        memory.write(HERE, [ONE])
    assert [entry["problem"] for entry in told] == ["File exists"]


# A machine that is watched, then not, then again ----------------------------------------------------------------------


class Watched:
    """A small server that was started in the background, and this machine as seen by one Watchkeeper after another."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.port = free_port()
        self.kept = folder / "kept" / "local.json"
        self._stack = stack

    def start(self, *arguments: str, program: str = sys.executable) -> None:
        line = f'setsid {program} server.py {self.port} "$@" >>out 2>>err </dev/null &'
        environment = {**os.environ, "COLOUR": "dark"}
        subprocess.run(["sh", "-c", line, "sh", *arguments], check=True, cwd=self.folder, env=environment)

    async def begin(self) -> Machine:
        return await self._stack.enter_async_context(Machine(LocalShell(), memory=self.kept))

    async def end(self) -> None:
        await self._stack.aclose()

    async def find(self, machine: Machine) -> ServiceHost | None:
        return next((host for host in await machine.hosts() if self.port in host.ports), None)

    async def found(self, machine: Machine) -> ServiceHost:
        async with asyncio.timeout(60):
            while not (service := await self.find(machine)):
                pass  # a survey takes its time
        return service

    def kill(self) -> None:
        """And it is gone."""
        deadline = time.monotonic() + 60
        while found := pid_of(self.port):
            os.kill(found, signal.SIGKILL)
            assert time.monotonic() < deadline


def pid_of(port: int) -> int | None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().partition(b"\0")[2].startswith(f"server.py\0{port}\0".encode()):
                return int(folder.name)
        except OSError:
            continue
    return None


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    (tmp_path / "server.py").write_text(SERVER)
    async with AsyncExitStack() as stack:
        one = Watched(tmp_path, stack)
        yield one
        one.kill()


async def test_one_that_ended_meanwhile_is_known_and_started_as_it_was(watched: Watched, tmp_path: Path) -> None:
    watched.start("a b")
    service = await watched.found(await watched.begin())
    await service.environment()
    name = service.name
    await watched.end()
    watched.kill()

    machine = await watched.begin()
    again = await watched.found(machine)
    state = await again.state()
    assert again is not service
    assert (again.name, state.status, state.stopped_by, state.exit_code) == (name, "exited", "unknown", None)
    assert (await again.environment())["COLOUR"] == "dark"
    await again.start()
    assert (await again.state()).status == "running"
    assert (tmp_path / "out").read_text().count(f"begins dark ['a b'] {tmp_path}\n") == 2


async def test_one_that_runs_still_is_the_same_and_one_stopped_on_purpose_stays_so(watched: Watched) -> None:
    watched.start()
    service = await watched.found(await watched.begin())
    await service.environment()
    first = await service.state()
    await watched.end()

    machine = await watched.begin()
    again = await watched.found(machine)
    assert await again.state() == first
    os.kill(first.pid, signal.SIGTERM)
    async with asyncio.timeout(60):
        while (ended := await again.state()).status == "running":
            pass
    await watched.end()

    machine = await watched.begin()
    gone = await watched.found(machine)
    after = await gone.state()
    assert (after.stopped_by, after.finished_at) == (ended.stopped_by, ended.finished_at)


async def test_what_nobody_watched_is_not_kept(watched: Watched) -> None:
    watched.start()
    await watched.found(await watched.begin())
    await watched.end()
    assert json.loads(watched.kept.read_text())["processes"] == []


async def test_another_that_took_its_port_took_its_place(watched: Watched, tmp_path: Path) -> None:
    watched.start()
    service = await watched.found(await watched.begin())
    await service.environment()
    await watched.end()
    watched.kill()
    (tmp_path / "other").symlink_to(sys.executable)
    watched.start(program=str(tmp_path / "other"))
    machine = await watched.begin()
    async with asyncio.timeout(60):
        while [host.name for host in await machine.hosts() if watched.port in host.ports] != [f"other-{watched.port}"]:
            pass  # it takes a moment to listen


async def test_one_that_ended_long_ago_is_forgotten(watched: Watched) -> None:
    watched.start()
    service = await watched.found(await watched.begin())
    await service.environment()
    await watched.end()
    watched.kill()
    kept = json.loads(watched.kept.read_text())
    kept["processes"][0]["ended"] = {"at": "2026-01-01T00:00:00+00:00", "cause": "unknown", "code": None}
    watched.kept.write_text(json.dumps(kept))

    assert await watched.find(await watched.begin()) is None
    await watched.end()
    assert json.loads(watched.kept.read_text())["processes"] == []
