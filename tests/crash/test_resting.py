"""What was handed to a person for want of room is looked at again once that is given: real Redis, mode auto."""

from pathlib import Path

import pytest
import redis

from tests.conftest import start_redis
from tests.crash.harness import Server, serving

pytestmark = pytest.mark.crash


def fill(client: redis.Redis) -> None:
    for key in range(1000):
        try:
            client.set(f"page:{key}", "x" * 65536)
        except redis.ResponseError:  # full
            return


def test_what_was_hopeless_is_looked_at_again_once_for_each_change_and_also_over_a_restart(tmp_path: Path) -> None:
    full = start_redis(tmp_path, "--maxmemory", "16mb")
    entry = f"{{name: cache, kind: redis, url: '{full.url}', environment: lab, act: true, settings: {{%s}}}}"
    config = tmp_path / "watchkeeper.yaml"
    config.write_text(f"mode: auto\nonly: [cache]\nresources: [{entry % ''}]\n")
    try:
        with full.client() as client, serving(Server(tmp_path / "data", config)) as server:
            server.until_kind("server.started")
            fill(client)
            escalated = server.until_kind("incident.escalated")
            assert server.incident()["status"] == "escalated"

            client.config_set("maxclients", 5000)  # it may have been that; it was not
            again = server.until_kind("incident.again", after=escalated["seq"])
            assert "→ 5000" in again["text"]
            quietly = server.until_kind("incident.escalated", after=again["seq"])
            assert quietly["data"] == {"quiet": True}  # who has it is not called anew
            assert quietly["text"].startswith("looked at again: it stays with a person.")
            kept = client.dbsize()

            server.stop()
            config.write_text(f"mode: auto\nonly: [cache]\nresources: [{entry % 'cache_keys: [page:*]'}]\n")
            server.start()
            again = server.until_kind("incident.again", after=quietly["seq"])
            assert "cache_keys none → ['page:*']" in again["text"]
            closed = server.until_kind("incident.closed", after=again["seq"])
            assert server.incident()["outcome"] == "healed", closed
            assert client.dbsize() < kept
    finally:
        full.stop()
        assert full.process.stdout is not None
        full.process.stdout.close()
