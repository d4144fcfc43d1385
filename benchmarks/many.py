"""Ten thousand resources discovered at once by a real `watchkeeper up`: does it answer and heal, at what cost?

Run: .venv/bin/python -m benchmarks.many --json benchmarks/results/many.json

They are of a connector of its own that is installed beside Watchkeeper for the run, whose look makes a reading like
that of a Redis. Among them is one real Redis, which becomes full once everything was looked at.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.conftest import start_redis
from tests.crash import harness
from tests.crash.harness import WATCHKEEPER, Server

from benchmarks.flood import fill, memory
from watchkeeper import __version__

CONNECTOR = """
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from random import random
from watchkeeper.connectors.redis import connector as redis
from watchkeeper.domain import Probe, Resource, now

NUMBER = int(os.environ["MANY"])
MOVE = bool(os.environ.get("MANY_MOVE"))

class Many:
    kind = "many"
    metric, sample, tools, runbooks = redis.metric, redis.sample, (), ()
    rules = tuple(replace(rule, id="many-" + rule.id, kind="many", runbook=None) for rule in redis.rules)

    async def discover(self, hosts, settings):
        for number in range(NUMBER):
            yield Resource(f"local/production/many/m{number}", f"m{number}")

    @asynccontextmanager
    async def connect(self, resource, host):
        yield resource

    async def read(self, session, last):
        metrics = {name: value + 0.0 for name, value in self.sample.metrics.items()}
        if MOVE:
            metrics[self.metric] = 0.3 + 0.2 * random()
        return replace(self.sample, metrics=metrics, facts=dict(self.sample.facts))

    async def probe(self, session):
        return Probe(session.id, now(), True, 0.0, "nothing")

    def level(self, line):
        return None

connector = Many()
"""


def installed(folder: Path) -> Path:
    """The connector as an installed package, to be put on the path."""
    place = folder / "site"
    info = place / "watchkeeper_many-1.dist-info"
    info.mkdir(parents=True)
    (place / "watchkeeper_many.py").write_text(CONNECTOR)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watchkeeper-many\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[watchkeeper.connectors]\nmany = watchkeeper_many:connector\n")
    return place


def answer(client: httpx.Client, url: str) -> tuple[float, httpx.Response]:
    began = time.monotonic()
    found = client.get(url)
    return time.monotonic() - began, found


def run(folder: Path, number: int, interval: float = 2.0) -> dict[str, Any]:
    """One `up` over so many."""
    (folder / "redis").mkdir()
    victim = start_redis(folder / "redis")
    named = {"name": "victim", "kind": "redis", "url": victim.url, "environment": "lab", "act": True}
    said = {
        "mode": "auto",
        "only": ["victim", "m*"],
        "resources": [{**named, "settings": {"cache_keys": ["cache:*"]}}],
        "watch": {"interval": interval},
    }
    config = folder / "watchkeeper.yaml"
    config.write_text(yaml.safe_dump(said))
    environment = {"PYTHONPATH": str(installed(folder)), "MANY": str(number), "WATCHKEEPER_WATCH__QUICK": "0.2"}
    environment["WATCHKEEPER_WATCH__INTERVAL"] = str(interval)
    server = Server(folder / "data", config, environment, fresh=True)
    harness.PATIENCE = 300.0
    slow: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        slow[name] = max(slow.get(name, 0.0), seconds)

    began = time.monotonic()
    try:
        server.start().until_kind("server.started")
        listening = time.monotonic() - began
        with httpx.Client(base_url=server.url, timeout=120) as client:
            while True:
                seconds, ready = answer(client, "/readyz")
                note("readyz", seconds)
                seconds, page = answer(client, "/api/resources/status?limit=100")
                note("status", seconds)
                counts = page.raise_for_status().json()["counts"]
                if ready.status_code == 200 and counts.get("HEALTHY") == number + 1:
                    break
                time.sleep(0.2)
            looked = time.monotonic() - began
            rss, _ = memory(server)
            server.poll(lambda at: all(one["status"] == "closed" for one in at.get("/api/incidents")["items"]))
            earlier = {one["id"]: one["title"] for one in server.get("/api/incidents")["items"]}
            at = time.monotonic()
            fill(victim)
            ends = ("incident.closed", "incident.escalated")
            closed = server.until(lambda event: event["kind"] in ends and event["incident"] not in earlier)
            healed = time.monotonic() - at
            listed, after = 0, ""
            while True:
                seconds, page = answer(client, f"/api/resources?limit=500{after}")
                note("resources", seconds)
                content = page.raise_for_status().json()
                listed += len(content["items"])
                if content["next"] is None:
                    break
                after = f"&after={content['next']}"
            for _ in range(20):
                note("readyz", answer(client, "/readyz")[0])
                note("status", answer(client, "/api/resources/status?limit=100")[0])
                time.sleep(0.2)
            problems = client.get("/api/resources/status?limit=1").json()["problems"]
        at = time.monotonic()
        table = subprocess.run(
            [str(WATCHKEEPER), "--data", str(server.data), "status"], capture_output=True, text=True, check=True
        ).stdout
        printed = time.monotonic() - at
        last, most = memory(server)
    finally:
        server.stop()
        victim.stop()
        assert victim.process.stdout is not None
        victim.process.stdout.close()
    return {
        "resources": number,
        "interval_seconds": interval,
        "listening_seconds": round(listening, 1),
        "looked_at_all_seconds": round(looked, 1),
        "rss_mb": round(rss),
        "rss_end_mb": round(last),
        "rss_peak_mb": round(most),
        "false_incidents": list(earlier.values()),
        "outcome": closed["text"],
        "healed_seconds": round(healed, 1),
        "listed": listed,
        "slowest_answer_seconds": {name: round(seconds, 2) for name, seconds in slow.items()},
        "table_seconds": round(printed, 1),
        "table_lines": len(table.splitlines()),
        "table_says": next((line for line in table.splitlines() if " more" in line), ""),
        "pace": problems.get("pace", ""),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchkeeper-many-") as folder:
        row = run(Path(folder), given.number)
    print(json.dumps(row, indent=1))
    if given.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
        given.json.write_text(json.dumps({"version": __version__, "machine": machine, "rows": [row]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
