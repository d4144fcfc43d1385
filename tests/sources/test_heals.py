"""The same fault, seen only through Prometheus, is detected, healed and proven; what is not seen is not called well."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import free_port
from tests.sources.conftest import PATIENCE, Stand
from watchkeeper.cli.client import Client

BIN = Path(sys.executable).parent
CACHE = "local/lab/redis/cache"


@dataclass
class Server:
    """`watchkeeper up` in a folder."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]

    def client(self) -> Client:
        token = (self.folder / ".local/state/watchkeeper/token").read_text().strip()
        return Client(f"http://127.0.0.1:{self.port}", token)

    def kill(self) -> None:
        self.process.kill()

    def status(self) -> Any:
        with self.client() as client:
            return client.get("/api/resources/status")

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [BIN / "watchkeeper", *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return done.stdout


@contextmanager
def up(folder: Path, stand: Stand) -> Iterator[Server]:
    port = free_port()
    cache = {
        "name": "cache",
        "kind": "redis",
        "url": stand.redis.url,
        "environment": "lab",
        "act": True,
        "source": "prom",
        "match": {"instance": stand.instance},
        "settings": {"cache_keys": "page:*"},
    }
    said = {
        "mode": "auto",
        "server": {"port": port},
        "only": [CACHE],
        "sources": {"prom": {"url": stand.url, "max_age": "5s"}},
        "resources": [cache],
        "rules": {"redis-memory-full": {"for": "300ms"}},
    }
    (folder / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    kept = {name: value for name, value in os.environ.items() if name != "XDG_STATE_HOME"}
    there = kept | {"HOME": str(folder), "DOCKER_HOST": "unix:///nonexistent"}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "watchkeeper", "up"],
            cwd=folder,
            env=there | {"WATCHKEEPER_WATCH__INTERVAL": "0.3"},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    drained = threading.Thread(target=process.stdout.read)
    try:
        begun = next((line for line in process.stdout if b"What happens from here on" in line), None)
        assert begun, (folder / "up.log").read_text()
        drained.start()
        yield Server(folder, port, process, there)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if drained.ident:
            drained.join()
        process.stdout.close()


def event(server: Server, kind: str) -> dict[str, Any]:
    """The first such event; they are told from the beginning. Patience ends the server, and so the test."""
    timer = threading.Timer(PATIENCE, server.kill)
    timer.start()
    try:
        with server.client() as client:
            return next(event for event in client.events(0) if event is not None and event["kind"] == kind)
    finally:
        timer.cancel()


def test_a_fault_seen_only_through_prometheus_is_healed_and_an_exporter_that_ends_is_told(
    stand: Stand, tmp_path: Path
) -> None:
    with up(tmp_path, stand) as server, stand.redis.client() as redis:
        redis.eval("for i = 1, 29000 do redis.call('set', 'page:' .. i, string.rep('x', 1000)) end", 0)
        assert redis.info("memory")["used_memory"] > 0.96 * (32 << 20)

        assert event(server, "alert.firing")["text"] == "redis-memory-full fires on cache"
        assert "used_memory_ratio" in event(server, "fix.healed")["text"]
        assert event(server, "incident.closed")["text"].startswith("healed")
        assert redis.info("memory")["used_memory"] < 0.85 * (32 << 20)

        found = server.run("doctor")
        assert f"prom: {stand.url} answers in" in found
        assert f'seen through prom: {{instance="{stand.instance}",job="redis"}}' in found

        stand.stop_exporter()
        silent = event(server, "source.silent")
        assert silent["subject"] == CACHE
        assert "its exporter does not answer (up is 0)" in silent["text"]
        status = server.status()
        assert [known["health"] for known in status["items"]] == ["UNKNOWN"]
        assert "no data of 1: cache" in status["problems"]["source prom"]

        stand.start_exporter()
        assert event(server, "source.tells")["text"] == "prom has data of cache again"
        redis.flushall()
