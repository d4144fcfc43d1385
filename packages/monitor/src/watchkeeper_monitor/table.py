"""A summary as a table for people."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper_monitor.onset import Change
    from watchkeeper_monitor.segments import SegmentFigures
    from watchkeeper_monitor.summary import Summary

ROWS = 10
"""Classes, confusions and the like that are shown; the data has all."""


_ALIKE = 0.1
"""Up to this share of what it was a mean is hardly another; what changed is how the values spread about it."""
WIDTH, WIDEST = 28, 60
"""Characters of names, in a terminal."""


def moment(at: str) -> str:
    """RFC 3339 as people read it: to the minute, in UTC."""
    return f"{at[:10]} {at[11:16]} UTC"


def began(since: str, until: str | None) -> str:
    """When something began that is known to a piece of time.

    >>> began("2026-11-23T13:35:00Z", "2026-11-23T13:39:51Z")
    'since some time from 2026-11-23 13:35 to 13:39 UTC'
    >>> began("2026-11-23T13:35:10Z", "2026-11-23T13:35:40Z")
    'since 2026-11-23 13:35 UTC'
    """
    if not until or until[:16] == since[:16]:
        return f"since {moment(since)}"
    ended = until[11:16] if until[:10] == since[:10] else f"{until[:10]} {until[11:16]}"
    return f"since some time from {since[:10]} {since[11:16]} to {ended} UTC"


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"


def number(value: float, unit: str = "") -> str:
    if not math.isfinite(value):
        return "no data"
    return f"{value:,.4g}{unit}"


def milliseconds(seconds: float) -> str:
    return number(seconds * 1000, " ms")


def table(summary: "Summary") -> str:
    """Four parts, one figure a line; parts that have no figures are left out of, and said to be."""
    lines = [f"{summary.model} {summary.version}: {summary.predictions:,} predictions in {summary.seconds:,.0f} s"]
    for title, rows in parts(summary):
        lines += ["", title]
        width = min(WIDEST, max([WIDTH, *(len(name) for name, _ in rows)]))
        lines += [f"  {_cut(name, width):<{width}} {value}" for name, value in rows] or ["  no data"]
    return "\n".join(lines)


def parts(summary: "Summary") -> list[tuple[str, list[tuple[str, str]]]]:
    """Title, and rows of a name and what is said of it."""
    return [
        ("performance", _performance(summary)),
        ("system", _system(summary)),
        ("data quality", _quality(summary)),
        ("business", _business(summary)),
        *([("segments", rows)] if (rows := _segments(summary)) else []),
    ]


def _segments(summary: "Summary") -> list[tuple[str, str]]:
    def told(each: "SegmentFigures") -> str:
        figures = (
            ("p95", milliseconds(each.latency_p95_seconds)),
            ("confidence", number(each.confidence_mean)),
            ("length", number(each.input_length_mean)),
            ("unknown words", f"{each.oov_rate:.1%}" if math.isfinite(each.oov_rate) else "no data"),
            ("missing", f"{each.missing_ratio:.1%}" if math.isfinite(each.missing_ratio) else "no data"),
        )
        known = [f"{name} {figure}" for name, figure in figures if figure != "no data"]
        return ", ".join([f"{each.predictions:,} predictions", *known])

    return [(name, told(each)) for name, each in list(summary.segments.items())[:ROWS]]


def _performance(summary: "Summary") -> list[tuple[str, str]]:
    said = summary.performance
    rows: list[tuple[str, str]] = []
    if not said.coverage > 0:
        rows.append(("accuracy", "not known: no labels yet"))
    elif said.accuracy.of:
        rows += [
            ("accuracy, latest", str(said.accuracy)),
            ("accuracy, 7 days", str(said.accuracy_7d)),
            ("labels", f"{said.coverage:.1%} of the predictions"),
            ("macro F1", number(said.macro_f1)),
            ("weighted F1", number(said.weighted_f1)),
        ]
    elif said.rankings:
        rows.append(("labels", f"{said.coverage:.1%} of the predictions"))
    if said.estimate.withdrawn:
        rows.append(("accuracy, estimated", f"no estimate: {said.estimate.withdrawn}"))
    elif said.estimate.calibrated_by:
        doubts = f"; doubtful: {', '.join(said.estimate.doubts[:3])} changed" if said.estimate.doubts else ""
        rows.append(("accuracy, estimated", f"{said.estimate.accuracy}, from confidence{doubts}"))
    rows += [
        (name.replace("_", " "), str(said.rankings[name]))
        for name in ("ndcg@10", "hit_rate@10", "map", "mrr")
        if name in said.rankings
    ]
    if math.isfinite(said.mean_absolute_error):
        rows += [
            ("mean absolute error", number(said.mean_absolute_error)),
            ("root mean squared error", number(said.root_mean_squared_error)),
            ("bias", number(said.bias)),
        ]
    if math.isfinite(said.confidence_mean):
        rows.append(("confidence, mean", number(said.confidence_mean)))
    if said.calibration:
        rows += [
            ("calibration error", number(said.calibration_error)),
            ("Brier score", number(said.brier_score)),
        ]
    worst = sorted((each for each in said.classes if each.support), key=lambda each: (each.f1, each.name))[:ROWS]
    rows += [
        (f"worst: {each.name}", f"F1 {each.f1:.2f} (precision {each.precision:.2f}, recall {each.recall:.2f})")
        for each in worst
        if each.f1 < 1
    ]
    rows += [
        ("confused", f"{each.true} taken for {each.predicted}, {each.times} times") for each in said.confusions[:3]
    ]
    rows += [
        (f"segment {name}", f"{each}, labels of {said.segment_coverage.get(name, math.nan):.1%}")
        for name, each in list(said.segments.items())[:ROWS]
    ]
    odd = (("unknown", said.labels_unknown), ("repeated", said.labels_repeated))
    odd += (("conflicting", said.labels_conflicting), ("waiting", said.labels_waiting))
    rows += [(f"labels {name}", f"{times:,}") for name, times in odd if times]
    return rows


def _system(summary: "Summary") -> list[tuple[str, str]]:
    said = summary.system
    rows = [
        ("latency p50", milliseconds(said.latency_p50_seconds)),
        ("latency p95", milliseconds(said.latency_p95_seconds)),
        ("latency p99", milliseconds(said.latency_p99_seconds)),
        ("predictions a second", number(said.predictions_per_second)),
        ("errors", str(said.error_rate)),
    ]
    rows += [(f"  {name}", f"{times:,}") for name, times in list(said.errors.items())[:ROWS]]
    rows += [("CPU", f"{said.cpu_ratio:.1%} of a core"), ("memory", f"{said.memory_bytes / 2**20:,.0f} MB")]
    rows += [
        ("log lines dropped", f"{each.dropped:,} of {each.sink}" + (f" ({each.problem})" if each.problem else ""))
        for each in said.logs
        if each.dropped
    ]
    return rows


def _quality(summary: "Summary") -> list[tuple[str, str]]:
    said = summary.quality
    rows: list[tuple[str, str]] = []
    if math.isfinite(said.input_length_mean):
        rows.append(("input length p50, p99", f"{said.input_length_p50:,.0f}, {said.input_length_p99:,.0f}"))
    if math.isfinite(said.oov_rate):
        rows.append(("words not in vocabulary", f"{said.oov_rate:.1%}"))
    rows += [(f"missing: {name}", str(each)) for name, each in list(said.missing.items())[:ROWS]]
    rows += [(f"invalid: {name}", f"{times:,}") for name, times in list(said.invalid.items())[:ROWS]]
    rows += [(f"rejected: {name}", f"{times:,}") for name, times in said.rejects.items()]
    rows += [(f"other: {name}", f"{times:,} counted together: too many names") for name, times in said.folded.items()]
    rows += [
        (f"drifted: {each.name}", f"{each.shift}, PSI {each.psi:.2f}{_since(each.since, each.until)}")
        for each in [each for each in said.drift if each.shift != "none"][:ROWS]
    ]
    rows += [(f"changed: {each.stream}", _changed(each)) for each in said.changes[:ROWS]]
    if said.dropped:
        rows.append(("dropped", f"{said.dropped:,}: more came than could be counted"))
    return rows


def _since(at: str | None, until: str | None) -> str:
    return f", {began(at, until)}" if at else ""


def _changed(change: "Change") -> str:
    from watchkeeper_monitor.onset import RATES

    when = began(change.since, change.until)
    if change.stream in RATES:
        return f"{when}: {number(change.before)} → {number(change.after)} (Cohen's h {change.effect:.2f})"
    if not math.isfinite(change.after):
        return f"{when}: other shares (PSI {change.effect:.2f})"
    means = f"mean {number(change.before)} → {number(change.after)}"
    if abs(change.after - change.before) <= _ALIKE * abs(change.before):
        return f"{when}: {means}, hardly other, but spread otherwise (PSI {change.effect:.2f})"
    return f"{when}: {means} (PSI {change.effect:.2f})"


def _business(summary: "Summary") -> list[tuple[str, str]]:
    said = summary.business
    rows: list[tuple[str, str]] = []
    if said.escalation_rate.of:
        rows.append(("escalated", str(said.escalation_rate)))
    if math.isfinite(said.cost_per_prediction):
        rows.append(("cost per prediction", f"{number(said.cost_per_prediction)} (total {number(said.cost_total)})"))
    if said.satisfaction_count:
        rows.append(("satisfaction, mean", f"{number(said.satisfaction_mean)} (of {said.satisfaction_count:,})"))
    return rows + [(name, f"{times:,}") for name, times in said.counters.items()]
