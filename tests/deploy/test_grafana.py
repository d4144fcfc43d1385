"""The dashboards ask nothing that Prometheus does not understand, and nothing that nobody tells."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.sources.conftest import Stand, stand  # noqa: F401  (a fixture)
from watchkeeper.telemetry import Metrics
from watchkeeper_monitor import ModelCollector, Monitor

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
FILLED = {"$__rate_interval": "10s", "$model": ".*", "$version": ".*"}


def test_they_are_what_their_code_says() -> None:
    done = subprocess.run([sys.executable, FOLDER / "dashboards.py", "--check"], check=False)
    assert done.returncode == 0, "run deploy/grafana/dashboards.py"


def asked(name: str) -> dict[str, str]:
    """Every query of a dashboard, by the title of its panel and its letter."""
    found: dict[str, str] = {}

    def within(panels: list[dict[str, Any]]) -> None:
        for panel in panels:
            within(panel.get("panels", []))
            for target in panel.get("targets", []):
                expr = target["expr"]
                for hole, value in FILLED.items():
                    expr = expr.replace(hole, value)
                found[f"{panel['title']}/{target['refId']}"] = expr

    within(json.loads((FOLDER / name).read_text())["panels"])
    assert found
    return found


def told() -> str:
    """What a model server and Watchkeeper expose where everything happens at least once."""
    monitor = Monitor("support-bot", version="1.4.0", classes=["card", "cash"], vocabulary=["card"])
    for number in range(200):
        monitor.track(
            "card" if number % 4 else "cash",
            confidence=0.9,
            latency_seconds=0.03,
            input_length=31,
            escalated=number % 4 == 0,
            cost=0.001,
            true_label="card",
            segment="web" if number % 2 else "app",
            text="my card",
            features={"age": number if number % 3 else None},
        )
    monitor.error(TimeoutError())
    monitor.track("gold")
    registry = CollectorRegistry()
    registry.register(ModelCollector(monitor))
    search = Monitor("search", version="7")
    for _ in range(20):
        search.track(["a", "b"], true_label="b")
    registry.register(ModelCollector(search))
    metrics = Metrics()
    metrics.resources.labels("redis", "HEALTHY").set(1)
    metrics.events.labels("incident.opened").inc()
    metrics.agent_calls.labels("get_status").inc()
    metrics.looked("redis", 0.01, ok=False)
    return generate_latest(registry).decode() + metrics.text().decode()


@pytest.fixture
def scraped(stand: Stand) -> Stand:  # noqa: F811
    stand.pages["queue"] = told()
    stand.until("count_over_time(watchkeeper_model_memory_bytes[10s]) > 2")
    yield stand
    del stand.pages["queue"]


@pytest.mark.parametrize("name", ["models.json", "watchkeeper.json"])
def test_every_query_has_an_answer_of_a_real_prometheus(scraped: Stand, name: str) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client:
        for panel, expr in asked(name).items():
            answer = client.get(f"{scraped.url}/api/v1/query", params={"query": expr}).json()
            assert answer["status"] == "success", (panel, expr, answer)
            assert answer["data"]["result"], (panel, expr)
