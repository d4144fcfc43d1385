"""What every test may use: real servers, started here and stopped here."""

import gc
import os
import random
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from tests.postgres import Postgres

# Property tests: no deadline for one example, for the machine may be busy; the same examples each time, so that a
# change is judged by what it changes. `HYPOTHESIS_PROFILE=wide` looks further, with other examples each time.
settings.register_profile(
    "steady", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("wide", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# What happens to run on this machine is no part of a test that does not ask for it.
os.environ.setdefault("WATCHKEEPER_HOSTS__LOCAL__ENABLED", "false")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # thousands of tests, and all they import, stay until the end: not to be looked through time and again


def free_port() -> int:
    """Of those below what the system gives to whoever connects somewhere: such a one would be taken meanwhile, now and
    then."""
    while True:
        port = _CHANCE.randrange(15_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


_CHANCE = random.SystemRandom()


@dataclass
class RedisServer:
    port: int
    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def start_redis(directory: Path, *arguments: str) -> RedisServer:
    """A real redis-server on a free port; returns when it answers."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if b"Ready to accept connections" in line:
            return RedisServer(port, process, directory)
    raise RuntimeError("redis-server did not start")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    directory = tmp_path / "redis"
    directory.mkdir()
    server = start_redis(directory)
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests; each takes a database of its own from it."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", free_port()).create()
        yield server
        server.stop()
