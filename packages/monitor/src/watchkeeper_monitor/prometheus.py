"""A collector over what a monitor has counted. prometheus-client is needed only here (extra `prometheus`)."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from watchkeeper_monitor.numbers import Numbers
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.summary import Summary

if TYPE_CHECKING:
    from watchkeeper_monitor.monitor import Monitor

CONFIDENCE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
LATENCY = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)
LENGTH = (8.0, 32.0, 128.0, 512.0, 2048.0, 8192.0)
Labels = dict[str, str]
PREFIX = "watchkeeper_model"


class ModelCollector(Collector):
    """For a registry: `watchkeeper_model_*{model=,version=}`, so that one dashboard serves all models.

    With `plain`, the same under the model's own name too (`support_bot_predictions_total{model_version=…}`).
    `track` touches nothing of it: a scrape reads what was counted. Edges of buckets of latency and length are met
    within 1 %.
    """

    def __init__(self, monitor: "Monitor", *, plain: bool = False) -> None:
        self._monitor = monitor
        self._own = sanitized(monitor.name) if plain else None

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        monitor = self._monitor
        said, profile = monitor.summary(), monitor.profile()
        scopes = [(PREFIX, {"model": monitor.name, "version": monitor.version})]
        if self._own is not None:
            scopes.append((self._own, {"model_version": monitor.version}))
        for prefix, labels in scopes:
            yield _predictions(prefix, labels, profile)
            yield from _histograms(prefix, labels, profile)
            yield from _gauges(prefix, labels, said)
            yield from _rankings(prefix, labels, said)
            yield from _segments(prefix, labels, said)
            yield _counted(f"{prefix}_errors", "Errors by type.", labels, "error_type", said.system.errors)
            yield _counted(f"{prefix}_rejected", "What could not be counted.", labels, "reason", said.quality.rejects)
            for outcome in ("written", "dropped") if said.system.logs else ():
                lines = {each.sink: getattr(each, outcome) for each in said.system.logs}
                yield _counted(
                    f"{prefix}_log_lines_{outcome}", f"Lines of the log that were {outcome}.", labels, "sink", lines
                )


def _predictions(prefix: str, labels: Labels, profile: Profile) -> Metric:
    counted = dict(profile.classes.kept)
    if profile.classes.other:
        counted["(other)"] = profile.classes.other
    if profile.outputs.count:
        counted["(number)"] = profile.outputs.count
    if profile.rankings.predictions:
        counted["(ranking)"] = profile.rankings.predictions
    return _counted(f"{prefix}_predictions", "Predictions by class.", labels, "prediction_class", counted)


def _counted(name: str, what: str, labels: Labels, by: str, counted: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, what, labels=[*labels, by])
    for value, times in counted.items():
        family.add_metric([*labels.values(), value], times)
    return family


def _histograms(prefix: str, labels: Labels, profile: Profile) -> Iterator[Metric]:
    confidence = HistogramMetricFamily(f"{prefix}_prediction_confidence", "Confidence, 0 to 1.", labels=list(labels))
    shares = [(str(edge), float(profile.confidence.at_most(edge))) for edge in CONFIDENCE]
    shares.append(("+Inf", float(profile.confidence.count)))
    confidence.add_metric(list(labels.values()), shares, profile.confidence.total)
    yield confidence
    for name, what, numbers, edges in (
        ("latency_seconds", "Latency, in seconds.", profile.latency, LATENCY),
        ("input_length", "Length of the input.", profile.input_length, LENGTH),
    ):
        family = HistogramMetricFamily(f"{prefix}_{name}", what, labels=list(labels))
        family.add_metric(list(labels.values()), _cumulated(numbers, edges), numbers.total)
        yield family


def _gauges(prefix: str, labels: Labels, said: Summary) -> Iterator[Metric]:
    performance, business = said.performance, said.business
    for name, what, value in (
        ("accuracy", "Accuracy of the latest labelled predictions.", performance.accuracy.value),
        ("accuracy_low", "What accuracy is not below, with 95 % confidence.", performance.accuracy.low),
        (
            "accuracy_estimate",
            "Accuracy, estimated from confidence.",
            performance.estimate.accuracy.value,
        ),
        ("label_coverage", "Share of predictions that have a label.", performance.coverage),
        ("macro_f1", "Macro F1 of the latest labelled predictions.", performance.macro_f1),
        ("calibration_error", "Expected calibration error.", performance.calibration_error),
        ("oov_rate", "Share of words that are not in the vocabulary.", said.quality.oov_rate),
        ("escalation_rate", "Share of predictions handed to a person.", business.escalation_rate.value),
        ("cost_per_prediction", "Mean cost of a prediction.", business.cost_per_prediction),
        ("memory_bytes", "Resident memory of the process.", float(said.system.memory_bytes)),
    ):
        if value == value:  # what is not known is no sample
            gauge = GaugeMetricFamily(f"{prefix}_{name}", what, labels=list(labels))
            gauge.add_metric(list(labels.values()), value)
            yield gauge


def _rankings(prefix: str, labels: Labels, said: Summary) -> Iterator[Metric]:
    if said.performance.rankings:
        family = GaugeMetricFamily(
            f"{prefix}_ranking", "How good the latest labelled rankings were, 0 to 1.", labels=[*labels, "measure"]
        )
        for measure, found in said.performance.rankings.items():
            family.add_metric([*labels.values(), measure], found.value)
        yield family


def _segments(prefix: str, labels: Labels, said: Summary) -> Iterator[Metric]:
    """Of each segment that has figures of its own."""
    if not said.segments:
        return
    times = {name: each.predictions for name, each in said.segments.items()}
    yield _counted(f"{prefix}_segment_predictions", "Predictions by segment.", labels, "segment", times)
    accuracy = {name: each.value for name, each in said.performance.segments.items()}
    for name, what, values in (
        ("accuracy", "Accuracy of all labelled predictions of a segment.", accuracy),
        (
            "latency_p95_seconds",
            "95th percentile of the latency of a segment.",
            {name: each.latency_p95_seconds for name, each in said.segments.items()},
        ),
        (
            "confidence",
            "Mean confidence of a segment.",
            {name: each.confidence_mean for name, each in said.segments.items()},
        ),
        ("oov_rate", "Unknown words of a segment.", {name: each.oov_rate for name, each in said.segments.items()}),
        (
            "missing_ratio",
            "Share of the values of features that are missing, of a segment.",
            {name: each.missing_ratio for name, each in said.segments.items()},
        ),
    ):
        family = GaugeMetricFamily(f"{prefix}_segment_{name}", what, labels=[*labels, "segment"])
        for segment, value in values.items():
            if value == value:
                family.add_metric([*labels.values(), segment], value)
        yield family


def _cumulated(numbers: Numbers, edges: tuple[float, ...]) -> list[tuple[str, float]]:
    middles = numbers.buckets()
    made: list[tuple[str, float]] = [
        (str(edge), float(sum(times for value, times in middles if value <= edge))) for edge in edges
    ]
    return [*made, ("+Inf", float(numbers.count))]


def sanitized(name: str) -> str:
    """As a Prometheus metric may be named."""
    made = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{made}" if not made or made[0].isdigit() else made
