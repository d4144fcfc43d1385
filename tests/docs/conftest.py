"""A home directory with a running server in it, as the reader of a page has one after `watchkeeper up`."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import RedisServer, free_port, start_redis
from watchkeeper.cli.client import Client

BIN = Path(sys.executable).parent
PATIENCE = 30.0
"""Seconds until what must come has come, or the test fails."""


@dataclass
class Home:
    """Where a reader types: `watchkeeper.yaml` is here, the state is below it, and one fix waits for approval."""

    path: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.path)

    def client(self) -> Client:
        token = (self.path / ".local/state/watchkeeper/token").read_text().strip()
        return Client(f"http://127.0.0.1:{self.port}", token)

    def until(self, kind: str) -> None:
        """Return once there was such an event."""
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            with self.client() as client:
                next(event for event in client.events(0) if event is not None and event["kind"] == kind)
        finally:
            watchdog.cancel()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type it. Ids and the port in the text are examples: those of this server take their place."""
        with self.client() as client:
            incident = client.get("/api/incidents")["items"][0]
            approval = client.get("/api/approvals", status="all")["items"][0]
        for pattern, real in ((r"inc-[0-9a-f]{8}", incident["id"]), (r"apr-[0-9a-f]{8}", approval["id"])):
            command = re.sub(pattern, real, command)
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


def environment(home: Path) -> dict[str, str]:
    """As it is on a machine of which Watchkeeper has not been told anything."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WATCHKEEPER_") and k != "XDG_STATE_HOME"}
    return kept | {
        "HOME": str(home),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "DOCKER_HOST": "unix:///nonexistent",
        "COLUMNS": "110",
    }


@pytest.fixture(scope="session")
def full_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = start_redis(tmp_path_factory.mktemp("redis"), "--maxmemory", "8mb")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture
def home(tmp_path: Path, full_redis: RedisServer) -> Callable[[], Iterator[Home]]:
    @contextmanager
    def up() -> Iterator[Home]:
        _fill(full_redis)
        port = free_port()
        _configure(tmp_path, full_redis, port)
        with (tmp_path / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [BIN / "watchkeeper", "up"],
                cwd=tmp_path,
                env=environment(tmp_path) | {"WATCHKEEPER_WATCH__INTERVAL": "0.3"},
                stdout=subprocess.PIPE,
                stderr=log,
            )
            try:
                assert process.stdout is not None
                said = next((line for line in process.stdout if b"What happens from here on" in line), None)
                assert said, (tmp_path / "up.log").read_text()
                drained = threading.Thread(target=process.stdout.read)
                drained.start()
                there = Home(tmp_path, port, process)
                there.until("approval.requested")
                yield there
            finally:
                process.terminate()
                process.wait(PATIENCE)
                drained.join()
                process.stdout.close()

    return up


def _configure(folder: Path, server: RedisServer, port: int) -> None:
    named = {
        "name": "redis",
        "kind": "redis",
        "url": server.url,
        "environment": "lab",
        "act": True,
        "settings": {"cache_keys": "catalogue:*"},
    }
    said = {
        "server": {"port": port},
        "resources": [named],
        "rules": {"redis-memory-full": {"for": "300ms"}},
        "only": ["local/*"],
    }
    (folder / "watchkeeper.yaml").write_text(yaml.safe_dump(said))


def _fill(server: RedisServer) -> None:
    """Past 95 % of maxmemory, with keys that are declared to be a cache: what there is to be fixed."""
    with server.client() as client:
        client.flushall()
        number = 0
        while True:
            memory = client.info("memory")
            if memory["used_memory"] > 0.97 * memory["maxmemory"]:
                return
            with client.pipeline(transaction=False) as pipeline:
                for number in range(number, number + 50):  # noqa: B020
                    pipeline.set(f"catalogue:{number}", "x" * 1000)
                pipeline.execute(raise_on_error=False)
