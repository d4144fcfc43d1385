"""The command line as it is used: `up` in a process of its own, the other commands against it."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from tests import migrated
from tests.conftest import RedisServer, free_port, start_redis
from tests.program import Program
from watchkeeper.cli import main
from watchkeeper.cli.client import Client, Unreachable

WATCHKEEPER = Path(sys.executable).with_name("watchkeeper")
PATIENCE = 90.0
"""Seconds a test waits for what must come before it fails."""
QUICK = {
    "DOCKER_HOST": "unix:///nonexistent",
    "WATCHKEEPER_WATCH__INTERVAL": "0.3",
    "WATCHKEEPER_WATCH__QUICK": "0.1",
}
STUCK = "while true do end"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """A command, in this process: what `watchkeeper ARGUMENTS` says, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WATCHKEEPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def ran(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["watchkeeper", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Said(int(ended.value.code or 0), printed.out, printed.err)

    return ran


@dataclass
class Up:
    """A running `watchkeeper up`, with what it has printed so far."""

    data: Path
    port: int
    process: Program
    lines: list[str] = field(default_factory=list)
    _printed: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._printed:
                self.lines.append(line.rstrip("\n"))
                self._printed.notify_all()

    def until_line(self, part: str) -> str:
        """The first line that holds `part`, once it is printed."""
        with self._printed:
            assert self._printed.wait_for(lambda: any(part in line for line in self.lines), PATIENCE), self.lines
            return next(line for line in self.lines if part in line)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event in the history that is wanted, once it is there."""
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            with self.client as client, suppress(Unreachable):
                for event in client.events(0):
                    if event is not None and wanted(event):
                        return event
        finally:
            watchdog.cancel()
        raise AssertionError(f"it did not happen; `up` said: {self.lines[-20:]}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", (self.data / "token").read_text().strip())


@contextmanager
def running(data: Path, *arguments: str, **environment: str) -> Iterator[Up]:
    """`watchkeeper up`, to be read line by line; stopped at the end."""
    port = free_port()
    migrated.begin(data)
    said = ("up", "--data", str(data), "--port", str(port), *arguments)
    process = Program(*said, environment={**os.environ, **QUICK, **environment}, folder=data.parent)
    up = Up(data, port, process)
    reader = threading.Thread(target=up.listen)
    reader.start()
    try:
        yield up
    finally:
        up.stop()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


@dataclass
class Shop:
    """One server in mode approve that watches three Redis servers it may act on."""

    up: Up
    redis: dict[str, RedisServer]

    @property
    def where(self) -> tuple[str, ...]:
        return ("--data", str(self.up.data))

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return self.up.until(wanted)

    def asked(self, name: str) -> tuple[str, str]:
        """The approval and the incident, once it asks what to do about `name`."""
        opened = self.until(lambda e: e["kind"] == "incident.opened" and f" on {name}:" in e["text"])
        incident = opened["incident"]
        asked = self.until(lambda e: e["kind"] == "approval.requested" and e["incident"] == incident)
        return asked["subject"], incident

    def closed(self, incident: str) -> None:
        """Once it is."""
        self.until(lambda e: e["kind"] == "incident.closed" and e["incident"] == incident)

    @contextmanager
    def stuck(self, name: str) -> Iterator[tuple[str, str]]:
        """A script blocks that server; approval and incident, once it asks. At the end the script is over."""
        server = self.redis[name]

        def block() -> None:
            with suppress(redis.RedisError), server.client() as client:
                client.eval(STUCK, 0)

        thread = threading.Thread(target=block)
        thread.start()
        try:
            approval, incident = self.asked(name)
            yield approval, incident
        finally:
            with suppress(redis.RedisError), server.client() as client:
                client.script_kill()
            thread.join()
            self.closed(incident)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    servers: dict[str, RedisServer] = {}
    for name in ("cache", "carts", "sessions"):
        (folder / name).mkdir()
        servers[name] = start_redis(folder / name, "--busy-reply-threshold", "100", "--maxmemory", "100mb")
    resources = [
        {"name": name, "kind": "redis", "url": server.url, "environment": "lab", "act": True}
        for name, server in servers.items()
    ]
    config = folder / "watchkeeper.yaml"
    config.write_text(yaml.safe_dump({"resources": resources, "rules": {"redis-busy-script": {"for": "200ms"}}}))
    only = [word for name in servers for word in ("--only", name)]
    try:
        with running(folder / "data", "--config", str(config), "--mode", "approve", *only) as up:
            up.until_line("What happens from here on")
            yield Shop(up, servers)
    finally:
        for server in servers.values():
            server.stop()
            assert server.process.stdout is not None
            server.process.stdout.close()
