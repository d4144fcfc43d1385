#!/usr/bin/env python3
"""The dashboards for Grafana, written as code: `models.json` and `watchkeeper.json` beside this file.

`.venv/bin/python deploy/grafana/dashboards.py` writes them; with `--check` it says whether they are current.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

HERE = Path(__file__).parent
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Queries = Sequence[tuple[str, str]]
"""Each with the legend of its series."""


def query(expr: str, legend: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref)


def lines(title: str, unit: str, queries: Queries, *, what: str = "", least: float | None = 0) -> timeseries.Panel:
    panel = timeseries.Panel().title(title).description(what).datasource(SOURCE).unit(unit).span(12).height(8)
    if least is not None:
        panel = panel.min(least)
    for number, (expr, legend) in enumerate(queries):
        panel = panel.with_target(query(expr, legend, chr(ord("A") + number)))
    return panel


def figure(title: str, unit: str, expr: str, *, what: str = "", bad_from: float | None = None) -> stat.Panel:
    steps = [Threshold(value=None, color="green")]
    if bad_from is not None:
        steps.append(Threshold(value=bad_from, color="red"))
    levels = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    return (
        stat.Panel()
        .title(title)
        .description(what)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(levels)
        .span(6)
        .height(4)
        .with_target(query(expr, "", "A"))
    )


def begun(title: str, uid: str, what: str) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(what)
        .tags(["watchkeeper"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    )


OF = 'model=~"$model",version=~"$version"'


def models() -> dashboard.Dashboard:
    """One dashboard for every model that a monitor watches."""

    def chosen(name: str, series: str, of: str) -> dashboard.QueryVariable:
        return (
            dashboard.QueryVariable(name)
            .datasource(SOURCE)
            .query(f"label_values({series}{of}, {name})")
            .refresh(2)
            .multi(True)
            .include_all(True)
        )

    rate = f"sum by (model, version) (rate(watchkeeper_model_predictions_total{{{OF}}}[$__rate_interval]))"
    of = "{{model}} {{version}}"

    def buckets(share: float, name: str) -> str:
        inner = f"sum by (model, version, le) (rate(watchkeeper_model_{name}_bucket{{{OF}}}[$__rate_interval]))"
        return f"histogram_quantile({share}, {inner})"

    def gauge(name: str) -> str:
        return f"avg by (model, version) (watchkeeper_model_{name}{{{OF}}})"

    by_segment = "{{model}} {{segment}}"

    def part(name: str) -> str:
        return f"avg by (model, segment) (watchkeeper_model_segment_{name}{{{OF}}})"

    made = begun("Models", "watchkeeper-models", "What the monitors in model servers count.")
    made = made.with_variable(chosen("model", "watchkeeper_model_memory_bytes", ""))
    made = made.with_variable(chosen("version", "watchkeeper_model_memory_bytes", '{model=~"$model"}'))
    panels = (
        dashboard.Row("System"),
        lines("Predictions", "reqps", [(rate, of)]),
        lines(
            "Errors",
            "reqps",
            [
                (
                    f"sum by (model, error_type) (rate(watchkeeper_model_errors_total{{{OF}}}[$__rate_interval]))",
                    "{{model}} {{error_type}}",
                )
            ],
        ),
        lines(
            "Latency",
            "s",
            [(buckets(0.5, "latency_seconds"), f"p50 {of}"), (buckets(0.99, "latency_seconds"), f"p99 {of}")],
        ),
        lines("Memory", "bytes", [(f"sum by (model, version) (watchkeeper_model_memory_bytes{{{OF}}})", of)]),
        dashboard.Row("Performance"),
        lines(
            "Accuracy",
            "percentunit",
            [(gauge("accuracy"), f"{of}"), (gauge("accuracy_low"), f"at least, 95 % {of}")],
            what="Of the latest labelled predictions, with what it is not below.",
        ),
        lines(
            "Label coverage",
            "percentunit",
            [(gauge("label_coverage"), of)],
            what="An accuracy from 3 % of the traffic is one of 3 % of the traffic.",
        ),
        lines("Macro F1", "percentunit", [(gauge("macro_f1"), of)]),
        lines(
            "Calibration error",
            "percentunit",
            [(gauge("calibration_error"), of)],
            what="Expected calibration error: how far confidence is from the share that was right.",
        ),
        dashboard.Row("Rankings"),
        lines(
            "Rankings, by measure",
            "percentunit",
            [
                (
                    f'avg by (model, version, measure) (watchkeeper_model_ranking{{{OF},measure=~"ndcg@10|map|mrr"}})',
                    f"{of} {{{{measure}}}}",
                )
            ],
            what="Of the latest labelled rankings, 0 to 1.",
        ),
        lines(
            "Rankings that show something relevant",
            "percentunit",
            [
                (
                    f'avg by (model, version, measure) (watchkeeper_model_ranking{{{OF},measure=~"hit_rate@.*"}})',
                    f"{of} {{{{measure}}}}",
                )
            ],
            what="Hit rate among the first 1, 5, 10 and 20.",
        ),
        dashboard.Row("Segments"),
        lines(
            "Predictions by segment",
            "reqps",
            [
                (
                    "sum by (model, segment) (rate(watchkeeper_model_segment_predictions_total"
                    f"{{{OF}}}[$__rate_interval]))",
                    by_segment,
                )
            ],
        ),
        lines(
            "Accuracy by segment",
            "percentunit",
            [(part("accuracy"), by_segment)],
            what="Of all labelled predictions: a mean that holds may hide a segment that fell.",
        ),
        lines("Latency by segment, p95", "s", [(part("latency_p95_seconds"), by_segment)]),
        lines("Confidence by segment", "percentunit", [(part("confidence"), by_segment)]),
        lines("Words not in the vocabulary, by segment", "percentunit", [(part("oov_rate"), by_segment)]),
        lines("Missing values by segment", "percentunit", [(part("missing_ratio"), by_segment)]),
        dashboard.Row("Data"),
        lines(
            "Predictions by class",
            "percentunit",
            [
                (
                    "sum by (prediction_class) (rate(watchkeeper_model_predictions_total"
                    f"{{{OF}}}[$__rate_interval])) / ignoring(prediction_class) group_left sum"
                    f" (rate(watchkeeper_model_predictions_total{{{OF}}}[$__rate_interval]))",
                    "{{prediction_class}}",
                )
            ],
            what="A share that wanders is drift of the prediction, or of who asks.",
        ),
        lines(
            "Confidence",
            "percentunit",
            [
                (buckets(0.1, "prediction_confidence"), f"p10 {of}"),
                (buckets(0.5, "prediction_confidence"), f"p50 {of}"),
            ],
        ),
        lines("Input length", "short", [(buckets(0.5, "input_length"), of)]),
        lines("Words not in the vocabulary", "percentunit", [(gauge("oov_rate"), of)]),
        lines(
            "What could not be counted",
            "reqps",
            [
                (
                    f"sum by (model, reason) (rate(watchkeeper_model_rejected_total{{{OF}}}[$__rate_interval]))",
                    "{{model}} {{reason}}",
                )
            ],
        ),
        dashboard.Row("Business"),
        lines("Handed to a person", "percentunit", [(gauge("escalation_rate"), of)]),
        lines("Cost of a prediction", "short", [(gauge("cost_per_prediction"), of)]),
    )
    return laid(made, panels)


def watchkeeper() -> dashboard.Dashboard:
    """Watchkeeper itself."""
    made = begun("Watchkeeper", "watchkeeper", "What is watched, and whether who watches is well.")
    panels = (
        figure("Incidents not over", "short", "sum(watchkeeper_incidents_active)", bad_from=1),
        figure(
            "Failed or degraded",
            "short",
            'sum(watchkeeper_resources{health=~"FAILED|DEGRADED"}) or vector(0)',
            bad_from=1,
        ),
        figure(
            "No data",
            "short",
            'sum(watchkeeper_resources{health="UNKNOWN"}) or vector(0)',
            what="No data is never called healthy.",
            bad_from=1,
        ),
        figure("Last look", "s", "time() - max(watchkeeper_last_look_timestamp_seconds)", bad_from=60),
        lines("Resources by health", "short", [("sum by (health) (watchkeeper_resources)", "{{health}}")]),
        lines(
            "What happened",
            "short",
            [
                (
                    "sum by (kind) (increase(watchkeeper_events_total"
                    '{kind=~"incident.*|fix.*|approval.*"}[$__rate_interval]))',
                    "{{kind}}",
                )
            ],
        ),
        lines("How late the loop wakes", "s", [("max by (instance) (watchkeeper_loop_lag_seconds)", "{{instance}}")]),
        lines(
            "Looks that gave no data",
            "reqps",
            [("sum by (kind) (rate(watchkeeper_looks_failed_total[$__rate_interval]))", "{{kind}}")],
        ),
        lines(
            "Readings not written yet, or let go",
            "short",
            [
                ("sum(watchkeeper_readings_waiting)", "waiting"),
                ("sum(watchkeeper_readings_dropped)", "let go"),
            ],
        ),
        lines(
            "Calls of agents",
            "reqps",
            [("sum by (tool) (rate(watchkeeper_agent_calls_total[$__rate_interval]))", "{{tool}}")],
        ),
    )
    return laid(made, panels)


def laid(
    made: dashboard.Dashboard, panels: Sequence[dashboard.Row | timeseries.Panel | stat.Panel]
) -> dashboard.Dashboard:
    for panel in panels:
        made = made.with_row(panel) if isinstance(panel, dashboard.Row) else made.with_panel(panel)
    return made


DASHBOARDS = {"models.json": models, "watchkeeper.json": watchkeeper}


def main() -> int:
    stale = False
    for name, make in DASHBOARDS.items():
        text = JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"
        path = HERE / name
        stale |= not path.exists() or path.read_text() != text
        if "--check" not in sys.argv:
            path.write_text(text)
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
