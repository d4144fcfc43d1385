"""A watchkeeper in a process of its own, to be killed and started again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests import migrated
from tests.conftest import free_port
from tests.program import Program

WATCHKEEPER = Path(sys.executable).with_name("watchkeeper")
PATIENCE = 120.0
"""Seconds a test waits for an event before it fails."""


@dataclass
class Server:
    """`watchkeeper up` on a data directory; `environment` beside the defaults for quick tests. What is measured is
    `fresh`: the command itself, not a fork of what has loaded already."""

    data: Path
    config: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: "Program | subprocess.Popen[bytes] | None" = None
    fresh: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Server":
        environment = {
            **os.environ,
            "WATCHKEEPER_WATCH__INTERVAL": "0.3",
            "WATCHKEEPER_WATCH__QUICK": "0.1",
            "DOCKER_HOST": "unix:///nonexistent",
            **self.environment,
        }
        migrated.begin(self.data)
        said = ("--config", str(self.config), "--data", str(self.data), "up", "--port", str(self.port))
        with (self.data.parent / "up.log").open("a") as log:
            if self.fresh:
                self.process = subprocess.Popen([WATCHKEEPER, *said], env=environment, stdout=log, stderr=log)
            else:
                self.process = Program(*said, environment=environment, folder=Path.cwd(), output=log)
        return self

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def died(self) -> int:
        """Wait until it has ended by itself."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, verify=False).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        token = (self.data / "token").read_text().strip()
        return httpx.post(self.url + path, json=body, headers={"Authorization": f"Bearer {token}"}, verify=False)

    def incident(self) -> dict[str, Any]:
        """The newest."""
        return self.get("/api/incidents")["items"][0]

    def fixes(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return self.get("/api/fixes")["items"][::-1]

    def until(self, wanted: Callable[[dict[str, Any]], bool], *, after: int = 0) -> dict[str, Any]:
        """The first event after `after` that is wanted; connects as soon as the server listens."""
        assert self.process is not None
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            for event in self._events(after):
                if wanted(event):
                    return event
        finally:
            watchdog.cancel()
        raise AssertionError(f"the event did not come; the server's log: {self.data.parent / 'up.log'}")

    def until_kind(self, *kinds: str, after: int = 0) -> dict[str, Any]:
        return self.until(lambda event: event["kind"] in kinds, after=after)

    def poll(self, holds: Callable[["Server"], bool]) -> None:
        """Until it holds of what the API says; no event tells of it."""
        until = time.monotonic() + PATIENCE
        while not holds(self):
            assert time.monotonic() < until, f"it did not come true; the server's log: {self.data.parent / 'up.log'}"
            self._pause()

    def _events(self, after: int) -> Iterator[dict[str, Any]]:
        transport = httpx.HTTPTransport(retries=0, verify=False)
        with httpx.Client(transport=transport, timeout=httpx.Timeout(5.0, read=PATIENCE)) as client:
            while self.process is not None and self.process.poll() is None:
                try:
                    yield from self._stream(client, after)
                except httpx.HTTPError:
                    self._pause()

    def _stream(self, client: httpx.Client, after: int) -> Iterator[dict[str, Any]]:
        headers = {"Accept": "text/event-stream"}
        with client.stream("GET", f"{self.url}/api/events?after={after}", headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def _pause(self) -> None:
        """The server does not listen yet; nothing but asking again tells when it does."""
        assert self.process is not None
        try:
            self.process.wait(0.05)
        except subprocess.TimeoutExpired:
            return


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    try:
        yield server.start()
    finally:
        server.stop()
