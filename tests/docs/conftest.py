"""A home directory with a running server in it, as the reader of a page has one after `watchkeeper up`."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import RedisServer, free_port, start_redis
from tests.program import Program
from tests.typed import typed
from watchkeeper.cli.client import Client

BIN = Path(sys.executable).parent
PATIENCE = 30.0
"""Seconds until what must come has come, or the test fails."""


@dataclass
class Home:
    """Where a reader types: `watchkeeper.yaml` is here, the state is below it, and one fix waits for approval."""

    path: Path
    port: int
    process: Program
    commands: Path

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.path, self.commands)

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
            approval = client.get("/api/approvals", status="all")["items"][0]
            by_hand = [one["id"] for one in client.get("/api/maintenance")["items"] if one["id"].startswith("mnt-")]
            silent = [one["id"] for one in client.get("/api/silences")["items"]]
        ids = [(r"inc-[0-9a-f]{8}", approval["incident"]), (r"apr-[0-9a-f]{8}", approval["id"])]
        ids += [(r"mnt-[0-9a-f]{8}", one) for one in by_hand[:1]] + [(r"sil-[0-9a-f]{8}", one) for one in silent[:1]]
        for pattern, real in ids:
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


def environment(home: Path, commands: Path) -> dict[str, str]:
    """As it is on a machine of which Watchkeeper has not been told anything."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WATCHKEEPER_") and k != "XDG_STATE_HOME"}
    return kept | {
        "HOME": str(home),
        "PATH": f"{commands}:{BIN}:{os.environ['PATH']}",
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


class Homes:
    """One server for all pages, and another where a page decides on the fix that waits: it can be decided on once."""

    def __init__(self, folders: pytest.TempPathFactory, server: RedisServer, commands: Path) -> None:
        self._folders = folders
        self._commands = commands
        self._server = server
        self._open = ExitStack()
        self._there: Home | None = None
        self._decided = False
        self.typed: set[str] = set()
        """Commands that were typed already: the same on another page need not be typed again."""

    def for_(self, commands: list[str]) -> Home:
        decides = any(re.search(r"\bwatchkeeper (approve|reject|fix|stop)\b", command) for command in commands)
        if self._there is None or (decides and self._decided):
            self.close()
            self._there = self._open.enter_context(_home(self._folders.mktemp("home"), self._server, self._commands))
        self._decided = self._decided or decides
        return self._there

    def close(self) -> None:
        self._open.close()
        self._there, self._decided = None, False


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory, full_redis: RedisServer) -> Iterator[Homes]:
    with typed() as commands:
        kept = Homes(tmp_path_factory, full_redis, commands)
        yield kept
        kept.close()


@contextmanager
def _home(folder: Path, server: RedisServer, commands: Path) -> Iterator[Home]:
    _fill(server)
    port = free_port()
    _configure(folder, server, port)
    process = Program(
        "up", environment=environment(folder, commands) | {"WATCHKEEPER_WATCH__INTERVAL": "0.3"}, folder=folder
    )
    assert process.stdout is not None
    drained = threading.Thread(target=process.stdout.read)
    try:
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "What happens from here on" in line:
                break
        else:
            raise AssertionError(said)
        drained.start()
        there = Home(folder, port, process, commands)
        there.until("approval.requested")
        yield there
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if drained.ident:
            drained.join()
        process.stdout.close()


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
        "only": ["local/lab/redis/redis"],  # the machine runs other tests' servers
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
