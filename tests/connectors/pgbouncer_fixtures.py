"""A real PgBouncer before a real PostgreSQL, its clients, and a host that stands for the machine it runs on."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from tests.conftest import free_port
from tests.postgres import Postgres

from watchkeeper.connectors.pgbouncer import connector
from watchkeeper.connectors.pgbouncer.session import PgbouncerSession
from watchkeeper.domain import ExecResult, HostState, Limits, Resource, StopCause, now

POOL = 2
"""Connections to the server for each pool."""
TURNED_AWAY = "server login has been failing"
_CONFIGURATION = """\
[databases]
shop = host=127.0.0.1 port={server} dbname=postgres
own = host=127.0.0.1 port={server} dbname=postgres pool_size=1
lost = host=127.0.0.1 port={server} dbname=nothing_such
gone = host=127.0.0.1 port=1 dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
admin_users = keeper
stats_users = visitor
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 60
server_login_retry = 3
"""


@dataclass
class Pooler:
    """A PgBouncer process; it refuses root, so it runs as the user `postgres`."""

    folder: Path
    port: int
    server: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        return self.folder / "pooler.ini"

    @property
    def command(self) -> list[str]:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        as_whom = ["-u", "postgres"] if os.getuid() == 0 else []
        return [program, *as_whom, str(self.configuration)]

    def create(self) -> "Pooler":
        (self.folder / "users.txt").write_text('"keeper" "k"\n"visitor" "v"\n"shop" "s"\n')
        self.configuration.write_text(
            _CONFIGURATION.format(server=self.server, port=self.port, folder=self.folder, pool=POOL)
        )
        return self.start()

    def start(self) -> "Pooler":
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                psycopg.connect(self.url("pgbouncer", "keeper:k"), autocommit=True).close()
                return self
            except psycopg.OperationalError:
                time.sleep(0.02)
        raise RuntimeError(f"pgbouncer does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def url(self, database: str, user: str = "shop:s") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?connect_timeout=60"

    def console(self, command: str) -> None:
        with psycopg.connect(self.url("pgbouncer", "keeper:k"), autocommit=True) as connection:
            connection.execute(command.encode())


class PoolerHost:
    """A stand-in for a service that is that process. Only what is asked of it here is real."""

    provider, kind = "local", "service"
    id = name = incarnation = "pooler"

    def __init__(self, pooler: Pooler) -> None:
        self.pooler = pooler
        self.labels: Mapping[str, str] = {"service.port": str(pooler.port)}
        self.starts = 1
        self.status = "running"
        self.stopped_by: StopCause = ""

    async def state(self) -> HostState:
        code = None if self.status == "running" else 137
        return HostState(self.status, 1, self.starts, exit_code=code, stopped_by=self.stopped_by)

    async def processes(self) -> Sequence[str]:
        return [" ".join(self.pooler.command)]

    async def read_file(self, path: str) -> bytes:
        return await asyncio.to_thread(Path(path).read_bytes)

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", port)]

    async def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        with (self.pooler.folder / "log").open() as log:
            log.seek(0, os.SEEK_END)
            while True:
                for line in log:
                    yield now(), line.rstrip("\n")
                await asyncio.sleep(0.02)

    async def environment(self) -> Mapping[str, str]:
        return {}

    async def limits(self) -> Limits:
        return Limits()

    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        return ExecResult(1, "", "not here")

    async def restart(self) -> None:
        await asyncio.to_thread(self.pooler.stop)
        await asyncio.to_thread(self.pooler.start)
        self.starts += 1
        self.status, self.stopped_by = "running", ""


@pytest.fixture(scope="module")
def pooler(orders: Postgres) -> Iterator[Pooler]:
    """Before the module's server, with pools of two connections."""
    if not (shutil.which("pgbouncer") or Path("/usr/sbin/pgbouncer").exists()):
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    orders.run("CREATE ROLE shop LOGIN")
    with tempfile.TemporaryDirectory(prefix="watchkeeper-pooler-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        running = Pooler(Path(folder), free_port(), orders.port).create()
        yield running
        running.stop()


@pytest.fixture
def pooler_host(pooler: Pooler) -> PoolerHost:
    return PoolerHost(pooler)


def named(pooler: Pooler, monkeypatch: pytest.MonkeyPatch, user: str = "keeper", password: str = "k") -> Resource:
    monkeypatch.setenv("POOLER_PASSWORD", password)
    settings = {"username": user, "password": "env:POOLER_PASSWORD"}
    return Resource("docker/lab/pgbouncer/pooler", "pooler", ports=(pooler.port,), may_act=True, settings=settings)


@pytest.fixture
async def console(
    pooler: Pooler, pooler_host: PoolerHost, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PgbouncerSession]:
    async with connector.connect(named(pooler, monkeypatch), pooler_host) as session:  # type: ignore[arg-type]
        yield session


Come = Callable[..., Awaitable[list[psycopg.AsyncConnection[tuple[object, ...]]]]]


@pytest.fixture
async def come(pooler: Pooler) -> AsyncIterator[Come]:
    """Clients of the pooler: `await come(3, "BEGIN", "SELECT 1")`; a statement that is not answered, and a database
    that lets nobody in, are waited for in the background."""
    opened: list[psycopg.AsyncConnection[tuple[object, ...]]] = []
    trying: list[psycopg.AsyncConnection[tuple[object, ...]]] = []
    waiting: list[asyncio.Task[None]] = []

    async def one(database: str, statements: Sequence[str]) -> None:
        connection = await let_in(database, statements[0])
        opened.append(connection)
        for statement in statements[1:]:
            await connection.execute(statement.encode())

    async def let_in(database: str, first: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Where a login at the server failed once, the pooler turns clients away until it has tried again."""
        async with asyncio.timeout(60):
            while True:
                connection = await psycopg.AsyncConnection.connect(pooler.url(database), autocommit=True)
                trying.append(connection)
                try:
                    await connection.execute(first.encode())
                    return connection
                except psycopg.errors.ProtocolViolation as problem:
                    if TURNED_AWAY not in str(problem):
                        raise
                await asyncio.sleep(0.2)

    async def start(
        count: int, *statements: str, database: str = "shop", hangs: bool = False
    ) -> list[psycopg.AsyncConnection[tuple[object, ...]]]:
        before = len(opened)
        for _ in range(count):
            task = asyncio.create_task(one(database, statements))
            if hangs:
                waiting.append(task)
            else:
                await task
        return opened[before:]

    yield start
    for task in waiting:
        task.cancel()
    for connection in trying:
        connection.pgconn.finish()
    await asyncio.gather(*waiting, return_exceptions=True)
