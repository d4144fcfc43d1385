"""A real nginx on loopback with something behind it, and the machine it runs on as its host."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from watchkeeper.connectors.nginx import connector
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import Reading, Resource
from watchkeeper.hosts import LocalShell, Machine, ServiceHost

SLOTS = 64
FILE = """\
# As people write it: comments, their own indentation.
worker_processes  1;
pid nginx.pid;
error_log error.log notice;
events {
    worker_connections   64;   # few, so that they are taken quickly
}
http {
    log_format timed '$remote_addr "$request" $status $request_time "$upstream_response_time" "$http_user_agent"';
    access_log access.log timed;
    client_header_timeout 600s;
    keepalive_timeout 600s;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    include conf.d/*.conf;
}
"""
SITE = """\
upstream shop {
    server 127.0.0.1:%(one)d;
    server 127.0.0.1:%(two)d weight=3 max_fails=0;
}
server {
    listen 127.0.0.1:%(port)d;
    location = /status { stub_status; allow 127.0.0.1; deny all; }
    location / { proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location = /gone { proxy_pass http://127.0.0.1:9; }
}
"""


def free_ports(number: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Behind:
    """Two upstreams: `/` answers at once, `/long` when `finish` is set. Counts what each was asked."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)
        self.asked: dict[int, int] = {}
        self._servers: list[asyncio.Server] = []

    async def start(self, ports: list[int]) -> None:
        for port in ports:
            self.asked[port] = 0
            self._servers.append(await asyncio.start_server(self._serve, "127.0.0.1", port))

    async def stop(self) -> None:
        self.finish.set()
        for server in self._servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked[port] += 1
                if head.startswith(b"GET /long"):
                    self.waiting.release()
                    await self.finish.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        writer.close()


class Nginx:
    """One server in a folder of its own."""

    def __init__(self, folder: Path, port: int, behind: list[int]) -> None:
        self.folder, self.port, self.behind = folder, port, behind
        self.main, self.site = folder / "nginx.conf", folder / "conf.d" / "site.conf"

    @property
    def program(self) -> list[str]:
        return [
            shutil.which("nginx") or "/usr/sbin/nginx",
            "-p",
            str(self.folder),
            "-c",
            "nginx.conf",
            "-e",
            "error.log",
        ]

    @property
    def pid(self) -> int:
        return int((self.folder / "nginx.pid").read_text())

    def write(self) -> bool:
        """Its files as they are at first; whether any of them was not."""
        self.site.parent.mkdir(exist_ok=True)
        one, two = self.behind
        user = "user root;\n" if os.geteuid() == 0 else ""
        wanted = {self.main: user + FILE, self.site: SITE % {"port": self.port, "one": one, "two": two}}
        others = {path for path in (self.folder / "conf.d").iterdir() if path != self.site}
        different = [path for path in wanted if not path.exists() or path.read_text() != wanted[path]]
        for path in others:
            path.unlink()
        for path in different:
            path.write_text(wanted[path])
        return bool(different or others)

    def start(self) -> None:
        self.write()
        subprocess.run(self.program, check=True, capture_output=True, cwd="/")

    def reload(self) -> None:
        subprocess.run([*self.program, "-s", "reload"], check=True, capture_output=True, cwd="/")

    def stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
async def behind() -> AsyncIterator[Behind]:
    made = Behind()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
async def front_server(tmp_path_factory: pytest.TempPathFactory, behind: Behind) -> AsyncIterator[Nginx]:
    port, *others = free_ports(3)
    await behind.start(others)
    made = Nginx(tmp_path_factory.mktemp("nginx"), port, others)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
async def machine() -> AsyncIterator[Machine]:
    async with Machine(LocalShell()) as made:
        yield made


async def host_of(machine: Machine, port: int) -> ServiceHost:
    """The host of exactly that server, once the machine has seen it listen."""
    async with asyncio.timeout(30):
        while True:
            for host in await machine.hosts():
                if port in host.ports:
                    return host
            await asyncio.sleep(0.05)


@pytest.fixture
async def front(
    front_server: Nginx, machine: Machine, behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[NginxSession]:
    """A session with the server, whose configuration is as it was at first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    behind.finish.clear()
    if front_server.write():
        front_server.reload()
    for name in ("access.log", "error.log"):
        (front_server.folder / name).write_text("")
    host = await host_of(machine, front_server.port)
    await host.environment()  # as the watch does: from then on it is remembered how it was started
    async with connector.connect(Resource("local/lab/nginx/front", "front", may_act=True), host) as session:
        yield session


class Eye:
    """Looks one after the other, as the watcher does."""

    def __init__(self, session: NginxSession) -> None:
        self.session = session
        self.last: Reading | None = None

    async def __call__(self) -> Reading:
        self.last = await connector.read(self.session, self.last)
        return self.last


@pytest.fixture
def see(front: NginxSession) -> Eye:
    return Eye(front)


async def until(look: Callable[[], Awaitable[Reading]], holds: Callable[[Reading], bool]) -> Reading:
    """Look again and again until it holds."""
    async with asyncio.timeout(40):
        while not holds(reading := await look()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return reading


def firing(reading: Reading) -> set[str]:
    """The rules whose condition holds."""
    return {rule.id for rule in connector.rules if rule.when.holds(reading.scope())}


class Clients:
    """Connections to a server, closed at the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def connect(self, number: int, said: bytes = b"") -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        fresh = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(number)]
        for _, writer in fresh:
            writer.write(said)
            await writer.drain()
        self.open += fresh
        return fresh

    async def get(self, path: str) -> int:
        """The status of one request on a connection of its own; 0 where it was cut off."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n".encode())
            raw = await reader.read()
            return int(raw.split()[1]) if raw else 0
        except (ConnectionError, ValueError):
            return 0
        finally:
            writer.close()

    def close(self) -> None:
        for _, writer in self.open:
            writer.close()


@pytest.fixture
def clients(front_server: Nginx) -> "AsyncIterator[Clients]":
    made = Clients(front_server.port)
    yield made  # type: ignore[misc]
    made.close()
