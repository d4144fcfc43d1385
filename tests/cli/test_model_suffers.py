"""A model whose feature store is full: it is the store that is mended, and the model is left as it is."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis
import yaml

from tests.cli.conftest import PATIENCE, Run, Up, running
from tests.conftest import RedisServer, free_port, start_redis
from watchkeeper_monitor import Profile
from watchkeeper_monitor.numbers import Numbers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="plain processes of others are followed as root alone")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RedisServer]:
    server = start_redis(tmp_path, "--maxmemory", "16mb")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def push_what_was_usual(up: Up, token: str) -> None:
    """Of ten minutes ago, as a process that is gone would have: each prediction had its features."""
    profile, values = Profile("ranker", "1.4.0"), Numbers()
    profile.predictions = 600
    values.record_all(np.ones(600))
    profile.numbers = {"clicks": values, "age_days": values}
    profile.latency.record_all(np.full(600, 0.012))
    profile.seen(time.time() - 600)
    headers = {"Authorization": f"Bearer {token}", "Watchkeeper-Process": secrets.token_hex(16)}
    answer = httpx.post(
        f"http://127.0.0.1:{up.port}/api/models/ranker/profiles",
        json={"began": time.time() - 700, "profile": profile.to_dict()},
        headers=headers | {"Watchkeeper-Sequence": "1"},
    )
    assert answer.is_success, answer.text


def until_compared(up: Up) -> None:
    """Until the model is watched, it is known how it usually does, and how the new process does."""
    deadline = time.monotonic() + PATIENCE
    with up.client as asked:
        while time.monotonic() < deadline:
            ids = {item["id"] for item in asked.get("/api/resources/status")["items"]}
            if "monitor/lab/model/ranker" in ids:
                last = asked.get("/api/resources/ranker")["reading"]
                if last and last["metrics"].get("missing_features") == 0 and last["metrics"]["replicas"] > 1:
                    return
            time.sleep(0.2)
    raise AssertionError(up.lines)


def test_a_model_that_lacks_its_features_is_not_blamed_for_the_store_that_is_full(
    store: RedisServer, tmp_path: Path, run: Run
) -> None:
    port, name = free_port(), f"redis-{store.port}"
    said = {
        "mode": "approve",
        "only": [f"*{store.port}*", f"*{port}*", "ranker"],
        "hosts": {"local": {"enabled": True, "environment": "lab"}},
        "watch": {"discover": 1},
        "rules": {"model-features-missing": {"for": "1s"}},
        "resources": [{"name": name, "kind": "redis", "act": True, "settings": {"cache_keys": "page:*"}}],
    }
    (tmp_path / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    with running(tmp_path / "data", WATCHKEEPER_HOSTS__LOCAL__ENABLED="true") as up:
        up.until_line("What happens from here on")
        token = (up.data / "token").read_text().strip()
        push_what_was_usual(up, token)
        arguments = [str(port), str(store.port), f"http://127.0.0.1:{up.port}", token, str(tmp_path / "spool")]
        ranker = subprocess.Popen([sys.executable, str(Path(__file__).with_name("ranker.py")), *arguments])
        try:
            up.until(lambda event: event["kind"] == "dependency.found" and f"needs {name}" in event["text"])
            until_compared(up)
            with redis.Redis(port=store.port) as full:
                full.eval("for i=1,40000 do redis.pcall('set','page:'..i,string.rep('x',1000)) end", 0)

            asked = up.until(lambda event: event["kind"] == "approval.requested")
            up.until(lambda event: event["kind"] == "alert.firing" and "model-features-missing" in event["text"])
            status = run("status", "--data", str(up.data)).out
            assert f"It is part of what is wrong with {name}: what waits for you is told there." in status
            assert status.count("watchkeeper approve") == 1, status
            items = run("status", "--data", str(up.data), "--json").json["items"]
            assert {item["part_of"] for item in items if item["id"] == "monitor/lab/model/ranker"} == {name}
            incidents = run("incidents", "--data", str(up.data), "--json").json
            assert [one["id"] for one in incidents["items"]] == [asked["incident"]], "one fault, one incident"
            told = run("show", asked["incident"], "--data", str(up.data)).out
            assert f"root local/lab/redis/{name}" in told
            words = " ".join(told.split())
            assert f"it is {name} that is to be mended; nothing here speaks for retraining ranker" in words, told
            assert json.dumps(incidents).count("redis_set_maxmemory") > 0

            assert run("approve", asked["incident"], "--data", str(up.data)).code == 0
            closed = up.until(lambda event: event["kind"] == "incident.closed")
            assert "healed" in closed["text"]
            over = ("alert.resolved", "monitor/lab/model/ranker")
            resolved = up.until(lambda event: (event["kind"], event["resource"]) == over)
            assert "model-features-missing" in resolved["text"]
        finally:
            ranker.kill()
            ranker.wait()
