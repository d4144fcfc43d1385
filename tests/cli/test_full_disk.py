"""The disk under our own database is full while a Redis is: said, nothing done, and healed once there is room."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from benchmarks.flood import fill

from tests.conftest import RedisServer
from tests.crash.harness import Server, serving
from tests.disk import mounted, to_the_last_byte


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 megabytes."""
    with mounted(tmp_path / "small", "24m") as place:
        yield place


def ready(server: Server) -> int:
    return httpx.get(server.url + "/readyz", timeout=60).status_code


def test_with_a_full_disk_nothing_is_done_and_everything_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, redis_server: RedisServer
) -> None:
    named = {"name": "cache", "kind": "redis", "url": redis_server.url, "environment": "lab", "act": True}
    said = {"mode": "auto", "only": ["cache"], "resources": [{**named, "settings": {"cache_keys": ["cache:*"]}}]}
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(yaml.safe_dump(said))
    ballast = small_disk / "ballast"
    with serving(Server(small_disk / "data", config, {"TMPDIR": str(tmp_path)})) as server:
        server.until_kind("server.started")
        server.poll(lambda s: ready(s) == 200)
        to_the_last_byte(ballast)
        server.poll(lambda s: to_the_last_byte(small_disk / "more") or ready(s) == 503)
        assert "Make room" in server.get("/api/resources/status")["problems"]["store"]

        fill(redis_server)
        server.poll(lambda s: s.get("/api/resources/cache")["reading"]["metrics"].get("used_memory_ratio", 0.0) > 0.95)
        assert server.fixes() == []
        with redis_server.client() as client:
            assert client.dbsize() > 1000, "nothing was removed: no intent could be recorded"

        ballast.unlink()
        (small_disk / "more").unlink(missing_ok=True)
        assert "healed" in server.until_kind("incident.closed", "incident.escalated")["text"]
        server.poll(lambda s: ready(s) == 200)
    with sqlite3.connect(small_disk / "data" / "watchkeeper.db") as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()
