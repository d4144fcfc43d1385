"""A real PostgreSQL 15, sessions in it that do what sessions do, and a host that stands for the machine it runs on."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psycopg
import pytest
from tests.conftest import free_port
from tests.postgres import USER, Postgres

from watchkeeper.connectors.postgres import connector
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.domain import ExecResult, HostState, Limits, Reading, Resource, StopCause

SLOTS = 20


class PostgresHost:
    """A stand-in for a service that is that server. Only what is asked of it here is real."""

    provider, kind = "local", "service"
    id = name = incarnation = "process"
    labels: Mapping[str, str] = {}

    def __init__(self, server: Postgres, data: Path = Path("/data")) -> None:
        self.server = server
        self.data = data
        self.starts = 1
        self.status = "running"
        self.stopped_by: StopCause = ""

    @property
    def pid(self) -> int:
        return int((self.server.folder / "data" / "postmaster.pid").read_text().split()[0])

    async def state(self) -> HostState:
        code = None if self.status == "running" else 137
        pid = self.pid if code is None else 0
        return HostState(self.status, pid, self.starts, exit_code=code, stopped_by=self.stopped_by)

    async def processes(self) -> Sequence[str]:
        return [f"/usr/lib/postgresql/15/bin/postgres -D {self.data} -p {self.server.port}"]

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", port)]

    async def environment(self) -> Mapping[str, str]:
        return {"POSTGRES_USER": USER, "POSTGRES_DB": "postgres"}

    async def limits(self) -> Limits:
        return Limits(memory_bytes=256 << 20)

    async def restart(self) -> None:
        await asyncio.to_thread(self.server.stop, "fast")
        await asyncio.to_thread(self.server.start)
        self.starts += 1
        self.status, self.stopped_by = "running", ""

    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(timeout):
            out, said = await process.communicate()
        return ExecResult(process.returncode or 0, out.decode(), said.decode())


@pytest.fixture(scope="module")
def orders() -> Iterator[Postgres]:
    """A server with few slots, so that they can be taken quickly."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-orders-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", free_port())
        server.create()
        with (server.folder / "data" / "postgresql.conf").open("a") as configuration:
            configuration.write(f"max_connections = {SLOTS}\nautovacuum = off\n")
        server.stop("fast")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def orders_host(orders: Postgres) -> PostgresHost:
    return PostgresHost(orders)


@pytest.fixture
async def orders_session(orders_host: PostgresHost) -> AsyncIterator[PostgresSession]:
    resource = Resource("docker/lab/postgres/orders", "orders", may_act=True)
    async with connector.connect(resource, orders_host) as session:  # type: ignore[arg-type]
        yield session


Sit = Callable[..., Awaitable[list[int]]]


@pytest.fixture
async def sit(orders: Postgres) -> AsyncIterator[Sit]:
    """Open sessions: `await sit(3, "SELECT pg_sleep(3600)", application="shop")`; their process ids. A statement that
    does not end goes on in the background."""
    opened: list[psycopg.AsyncConnection[tuple[object, ...]]] = []
    running: list[asyncio.Task[object]] = []

    async def start(
        count: int, *statements: str, application: str = "shop", user: str = USER, last_hangs: bool = False
    ) -> list[int]:
        pids: list[int] = []
        for _ in range(count):
            connection = await psycopg.AsyncConnection.connect(
                orders.url("postgres", user), autocommit=True, application_name=application
            )
            opened.append(connection)
            pids.append(connection.info.backend_pid)
            quick = statements[:-1] if last_hangs else statements
            for statement in quick:
                await connection.execute(statement.encode())
            if last_hangs:
                running.append(asyncio.create_task(connection.execute(statements[-1].encode())))
        return pids

    yield start
    for connection in opened:
        with contextlib.suppress(psycopg.Error):  # it was ended by what is tested
            connection.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for connection in opened:
        await connection.close()
    await gone(orders)


async def gone(orders: Postgres) -> None:
    """Wait until the server has seen that they are."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                async with await psycopg.AsyncConnection.connect(orders.url("postgres")) as connection:
                    found = await connection.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                        "AND pid <> pg_backend_pid() AND application_name <> 'watchkeeper'"
                    )
                    if await found.fetchone() == (0,):
                        return
            await asyncio.sleep(0.02)


async def until(look: Callable[[], Awaitable[Reading]], holds: Callable[[Reading], bool]) -> Reading:
    """Look again and again until it holds."""
    async with asyncio.timeout(20):
        while not holds(reading := await look()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return reading
