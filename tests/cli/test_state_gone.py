"""The state directory vanishes under a running `up`: said within seconds, nothing done, no flood of log."""

import shutil
from pathlib import Path

import httpx
import yaml
from benchmarks.flood import fill

from tests.cli.conftest import Run
from tests.conftest import RedisServer
from tests.crash.harness import Server, serving

MOST_LOGGED = 100_000
"""Bytes while a fault waits that nobody may heal: a loop without a pause wrote ten times as much in three seconds."""


def ready(server: Server) -> int:
    return httpx.get(server.url + "/readyz", timeout=60).status_code


def test_without_its_files_it_says_so_and_does_nothing_until_they_are_back(
    tmp_path: Path, redis_server: RedisServer, run: Run
) -> None:
    said = {"name": "cache", "kind": "redis", "url": redis_server.url, "environment": "lab", "act": True}
    keys = {"settings": {"cache_keys": ["cache:*"]}}
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(yaml.safe_dump({"mode": "auto", "only": ["cache"], "resources": [{**said, **keys}]}))
    data, aside, log = tmp_path / "data", tmp_path / "aside", tmp_path / "up.log"
    with serving(Server(data, config)) as server:
        assert server.process is not None
        server.until_kind("server.started")
        server.poll(lambda s: ready(s) == 200)
        data.rename(aside)
        server.poll(lambda s: ready(s) == 503)
        before = log.stat().st_size

        fill(redis_server)
        server.poll(lambda s: s.get("/api/resources/cache")["reading"]["metrics"].get("used_memory_ratio", 0.0) > 0.95)
        there = ("--config", str(config), "--data", str(data), "--url", server.url)
        status, paused = run(*there, "status"), run(*there, "pause")
        assert "NOTHING IS DONE" in status.out
        assert f"{data}/watchkeeper.db is gone" in " ".join(status.out.split())
        assert paused.code == 2
        assert f"`kill {server.process.pid}`" in paused.err, "ending it is the way to stop it now"
        assert httpx.get(server.url + "/healthz", timeout=60).status_code == 200
        with redis_server.client() as client:
            assert client.dbsize() > 1000, "nothing was removed: no intent could be recorded"
        assert log.stat().st_size - before < MOST_LOGGED

        shutil.rmtree(data, ignore_errors=True)  # what looking has put there since
        aside.rename(data)
        assert "healed" in server.until_kind("incident.closed", "incident.escalated")["text"]
        server.poll(lambda s: ready(s) == 200)


def test_it_ends_in_order_where_its_files_are_lost(tmp_path: Path) -> None:
    config = tmp_path / "watchkeeper.yaml"
    config.write_text("mode: observe\nonly: [nothing]\n")
    with serving(Server(tmp_path / "data", config)) as server:
        server.until_kind("server.started")
        server.poll(lambda s: ready(s) == 200)
        shutil.rmtree(tmp_path / "data")
        server.poll(lambda s: ready(s) == 503)
        server.stop()
        assert server.died() == 0
        assert "Traceback" not in (tmp_path / "up.log").read_text()
