"""What a scrape of a model server gives."""

import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from watchkeeper_monitor import ModelCollector, Monitor


def scraped(monitor: Monitor, *, plain: bool = False) -> str:
    registry = CollectorRegistry()
    registry.register(ModelCollector(monitor, plain=plain))
    return generate_latest(registry).decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def filled() -> Monitor:
    monitor = Monitor("support-bot", version="1.4.0", classes=["card", "cash"])
    for number in range(100):
        monitor.track(
            "card" if number % 4 else "cash",
            confidence=(0.5, 0.95, 0.951, 1.0)[number % 4],
            latency_seconds=0.03,
            escalated=number % 4 == 0,
            true_label="card",
        )
    monitor.error(TimeoutError())
    monitor.track("gold")
    return monitor


def test_one_set_of_names_serves_every_model() -> None:
    found = samples(scraped(filled()))
    own = {("model", "support-bot"), ("version", "1.4.0")}

    def value(name: str, **labels: str) -> float:
        return found[(f"watchkeeper_model_{name}", frozenset(own | set(labels.items())))]

    assert value("predictions_total", prediction_class="card") == 75
    assert value("errors_total", error_type="TimeoutError") == 1
    assert value("rejected_total", reason="prediction: unknown class") == 1
    assert [value("prediction_confidence_bucket", le=le) for le in ("0.5", "0.9", "0.95", "0.99", "1.0", "+Inf")] == [
        *(25, 25, 50, 75, 100, 100)
    ]
    assert [value("latency_seconds_bucket", le=le) for le in ("0.01", "0.05", "+Inf")] == [0, 100, 100]
    assert value("accuracy") == 0.75
    assert value("escalation_rate") == 0.25
    assert value("memory_bytes") > 1e6


def test_the_plain_names_that_teams_know_are_there_when_asked_for() -> None:
    found = samples(scraped(filled(), plain=True))
    own = {("model_version", "1.4.0"), ("prediction_class", "cash")}
    assert found[("support_bot_predictions_total", frozenset(own))] == 25


def test_what_is_not_known_is_no_sample() -> None:
    text = scraped(Monitor("bot"))
    assert "watchkeeper_model_accuracy{" not in text
    assert "NaN" not in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_own_linter_has_nothing_to_say() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scraped(filled(), plain=True),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
