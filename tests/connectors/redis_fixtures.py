"""A real redis-server on a free port, and a host that stands for the machine it runs on."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import free_port

from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import ExecResult, HostState, Limits, Resource, StopCause

COMMAND = ("redis-server", "--save", "", "--repl-diskless-sync-delay", "0")
"""A replica is served at once: by default a primary waits for others for five seconds."""


class Server:
    """One redis-server process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.starts += 1
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "--port", str(self.port), "--dir", str(self.folder), *self.options],
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until it accepts connections; on another port where somebody else took its port meanwhile."""
        async with asyncio.timeout(10):
            while True:
                if self.process and self.process.poll() is not None:
                    self.port = free_port()
                    self.start()
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                    return
                await asyncio.sleep(0.01)

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def cli(self, *command: str) -> str:
        """What a person would type."""
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *command], capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout.strip()

    def fill(self, prefix: str, count: int, size: int = 1000) -> None:
        """Write keys `prefix:1…count` of `size` bytes each."""
        script = "for i=1,ARGV[2] do redis.call('set', ARGV[1]..':'..i, string.rep('x', ARGV[3])) end"
        self.cli("EVAL", script, "0", prefix, str(count), str(size))


class ProcessHost:
    """A stand-in for a container around that process. Only what is asked of it here is real."""

    id = name = incarnation = "process"
    provider, kind = "docker", "container"
    labels: Mapping[str, str] = {}

    def __init__(self, server: Server, *, memory: int | None = None, stopped_by: StopCause = "killed") -> None:
        self.server = server
        self.memory = memory
        self.stopped_by = stopped_by
        self.status = ""
        self.exit_code = 137
        self.variables: dict[str, str] = {}

    async def state(self) -> HostState:
        process = self.server.process
        running = process is not None and process.poll() is None
        return HostState(
            status=self.status or ("running" if running else "exited"),
            pid=process.pid if process and running else 0,
            start_count=self.server.starts,
            exit_code=None if running else self.exit_code,
            stopped_by="" if running else self.stopped_by,
        )

    async def processes(self) -> Sequence[str]:
        return [f"redis-server *:{self.server.port}"]

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", port)] if self.server.process else []

    async def environment(self) -> Mapping[str, str]:
        return self.variables

    async def limits(self) -> Limits:
        return Limits(self.memory)

    async def start(self) -> None:
        self.server.start()
        await self.server.ready()

    async def restart(self) -> None:
        self.server.kill()
        await self.start()

    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=timeout)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    async def read_file(self, path: str) -> bytes:
        raise NotImplementedError

    async def write_file(self, path: str, content: bytes) -> None:
        raise NotImplementedError

    async def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        raise NotImplementedError
        yield  # pragma: no cover


MakeServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MakeServer]:
    """Start a server: `await server("--maxmemory", "20mb")`."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    made: list[Server] = []

    async def make(*options: str, name: str = "redis") -> Server:
        folder = tmp_path / f"{name}{len(made)}"
        folder.mkdir()
        made.append(Server(folder, *options))
        made[-1].start()
        await made[-1].ready()
        return made[-1]

    yield make
    for one in made:
        one.kill()


Connect = Callable[..., RedisSession]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A session: `connect(server)`, closed at the end."""
    opened: list[RedisSession] = []

    def make(on: Server, *, host: Any = None, act: bool = True, bare: bool = False, **settings: Any) -> RedisSession:
        kept = None if bare else host or ProcessHost(on)
        url = {"url": f"redis://127.0.0.1:{on.port}"} if bare else {}
        resource = Resource("docker/lab/redis/cache", "cache", may_act=act, settings={**url, **settings})
        opened.append(RedisSession(resource, kept))
        return opened[-1]

    yield make
    for session in opened:
        await session.aclose()


@contextlib.contextmanager
def idle_connections(port: int, count: int, *, address: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Connections from an address that are opened and never used again."""
    held: list[socket.socket] = []
    try:
        for _ in range(10 * count):
            if len(held) == count:
                break
            one = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(address, 0))
            if is_open(one):
                held.append(one)
            else:  # somebody who left is still counted
                one.close()
        assert len(held) == count, "the server has no room for them"
        yield held
    finally:
        for one in held:
            one.close()


def is_open(connection: socket.socket) -> bool:
    """Whether the server still answers on it."""
    try:
        connection.sendall(b"PING\r\n")
        return connection.recv(16) == b"+PONG\r\n"
    except OSError:
        return False


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="freeing a slot from below needs root")
