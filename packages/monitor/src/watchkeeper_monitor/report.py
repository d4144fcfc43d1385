"""A summary as one HTML file: nothing is fetched, nothing runs, and whatever came from outside is escaped."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchkeeper_monitor.figures import Share
from watchkeeper_monitor.profile import Profile
from watchkeeper_monitor.ranking import NDCG
from watchkeeper_monitor.reference import ColumnDrift, Reference
from watchkeeper_monitor.summary import Summary
from watchkeeper_monitor.table import began, milliseconds, number, parts
from watchkeeper_monitor.tabled import as_counted, table_of

BINS, BARS = 30, 10
"""Bins of a numeric column, and categories of another, that are drawn."""
DRAWN = 60
"""Columns that are drawn, the farthest first; the rest is said to be left out."""
WIDTH, HEIGHT, LEFT, FOOT = 360.0, 150.0, 6.0, 22.0
STYLE = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --text: #1b1f24; --soft: #565e69; --line: #d9dde3;
  --usual: #9aa5b4; --now: #1d5bb8; --red: #b3261e; --amber: #855100; --green: #19683a; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #111418; --card: #191d23; --text: #e8eaed;
  --soft: #a9b1bb; --line: #343b45; --usual: #6b7685; --now: #8fb8ff;
  --red: #ff8f85; --amber: #f2bd5c; --green: #74d69a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: .3rem 0; }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 1.15rem 1.25rem; margin: 0 0 1rem; } .soft, footer, dt { color: var(--soft); font-size: .875rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 0 0 1rem; }
.tile { padding: .75rem 1rem; }
dd { margin: 0; font-size: 1.5rem; font-weight: 650; font-variant-numeric: tabular-nums; }
dd small { display: block; font-size: .8125rem; font-weight: 400; color: var(--soft); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; } svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--soft); } .usual { fill: var(--usual); opacity: .55; }
.now { fill: none; stroke: var(--now); stroke-width: 2; }
.bar { fill: var(--now); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 .8em; }
.large { color: var(--red); } .moderate { color: var(--amber); } .none { color: var(--green); }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); }
tr:first-child > * { border-top: 0; } th { font-weight: 600; }
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """One column: the shares of the reference and of now, in the same bins."""

    name: str
    labels: Sequence[str]
    """Of each bar; of numbers the lower edge of each bin and the upper one of the last."""
    usual: NDArray[np.float64]
    now: NDArray[np.float64]
    numeric: bool


def pairs(reference: Reference, profile: Profile, columns: Sequence[ColumnDrift]) -> list[Pair]:
    """What was compared, in the order of `columns`."""
    table = table_of(profile)
    return [
        _numbers(each.name, as_counted(profile, each.name, reference.numbers[each.name].values), table[each.name])
        if each.kind == "number"
        else _categories(each.name, reference.categories[each.name], table[each.name])
        for each in columns[:DRAWN]
        if each.name in table
    ]


def _numbers(name: str, usual: NDArray[np.float64], column: NDArray[Any]) -> Pair:
    now = column[np.isfinite(column)] if column.dtype.kind == "f" else np.zeros(0)
    both = np.concatenate((usual, now))
    low, high = (float(each) for each in np.quantile(both, (0.005, 0.995))) if both.size else (0.0, 1.0)
    if not high > low:
        low, high = low - max(0.5, abs(low) * 0.01), high + max(0.5, abs(high) * 0.01)
    edges = np.linspace(low, high, BINS + 1)
    shares = [
        np.histogram(np.clip(values, low, high), edges)[0].astype(np.float64) / max(1, values.size)
        for values in (usual, now)
    ]
    return Pair(name, [number(float(edge)) for edge in edges], shares[0], shares[1], True)


def _categories(name: str, usual: dict[str, int], column: NDArray[Any]) -> Pair:
    before, after = _over(usual), _over(Counter(each for each in column.tolist() if each is not None))
    often = sorted({*before, *after}, key=lambda each: -max(before.get(each, 0.0), after.get(each, 0.0)))[:BARS]
    rest = [1 - sum(shares.get(each, 0.0) for each in often) for shares in (before, after)]
    labels = [*often, "(all others)"] if max(rest) > 1e-9 else often
    made = [
        np.array([shares.get(each, 0.0) for each in often] + ([max(0.0, left)] if labels is not often else []))
        for shares, left in zip((before, after), rest, strict=True)
    ]
    return Pair(name, labels, made[0], made[1], False)


def _over(counts: Mapping[str, int]) -> dict[str, float]:
    total = max(1, sum(counts.values()))
    return {name: times / total for name, times in counts.items()}


def page(summary: Summary, drawn: Sequence[Pair]) -> str:
    """The whole file."""
    title = f"{summary.model} {summary.version}"
    body = [
        f"<header><h1>{escape(title)}</h1><p class=soft>{summary.predictions:,} predictions in "
        f"{summary.seconds:,.0f} s.</p></header>",
        _tiles(summary),
        _drift(summary, drawn),
        *(_part(name, rows) for name, rows in parts(summary)),
    ]
    made = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(body)
        + "<footer>Made by watchkeeper-monitor. Intervals are of 95 %.</footer></main></body></html>\n"
    )
    return "".join(map(_written, made)).encode("utf-8", "replace").decode()


def _written(letter: str) -> str:
    """What no text may have is shown as such."""
    return letter if (letter >= " " and not "\x7f" <= letter <= "\x9f") or letter == "\n" else "\ufffd"


def _tiles(summary: Summary) -> str:
    said, system = summary.performance, summary.system
    tiles: list[tuple[str, str, str]] = []
    if ranked := said.rankings.get(NDCG):
        tiles.append((NDCG, _percent(ranked), _interval(ranked, "")))
    if said.accuracy.of or not ranked:
        tiles.append(("accuracy, latest", _percent(said.accuracy), _interval(said.accuracy, "no labels yet")))
    if said.estimate.withdrawn or said.estimate.calibrated_by or not ranked:
        more = (
            f"no estimate: {said.estimate.withdrawn}"
            if said.estimate.withdrawn
            else f"doubtful: {', '.join(said.estimate.doubts[:3])} changed"
            if said.estimate.doubts
            else _interval(said.estimate.accuracy, "nothing to calibrate it by")
        )
        tiles.append(("accuracy, estimated", _percent(said.estimate.accuracy), more))
    tiles += [
        ("labels", "no data" if math.isnan(said.coverage) else f"{said.coverage:.1%}", "of the predictions"),
        ("latency p95", milliseconds(system.latency_p95_seconds), f"p99 {milliseconds(system.latency_p99_seconds)}"),
        ("errors", _percent(system.error_rate), _interval(system.error_rate, "")),
    ]
    made = "".join(
        f"<div class=tile><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in tiles
    )
    return f"<dl class=tiles>{made}</dl>"


def _percent(share: Share) -> str:
    return f"{share.value:.1%}" if share.of else "no data"


def _interval(share: Share, none: str) -> str:
    return f"{share.low:.1%} to {share.high:.1%}, of {share.of:,}" if share.of else none


def _part(title: str, rows: Iterable[tuple[str, str]]) -> str:
    made = "".join(f"<tr><th>{escape(name.strip())}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return (
        f"<section><h2>{escape(title.capitalize())}</h2><table>{made or '<tr><td>no data</td></tr>'}</table></section>"
    )


def _drift(summary: Summary, drawn: Sequence[Pair]) -> str:
    columns = {each.name: each for each in summary.quality.drift}
    if not drawn:
        said = "There is no reference, or nothing that it could be compared with."
        return f"<section><h2>Drift</h2><p class=soft>{said}</p></section>"
    shifted = sum(each.shift != "none" for each in columns.values())
    left = len(columns) - len(drawn)
    more = f" {left} more are not drawn." if left > 0 else ""
    figures = "".join(_figure(each, columns[each.name]) for each in drawn)
    return (
        f"<section><h2>Drift: {shifted} of {len(columns)} columns have shifted</h2><p class=soft>"
        "<span class=key style='background:var(--usual)'></span>reference"
        f"<span class=key style='background:var(--now)'></span>now.{more}</p>"
        f"<div class=columns>{figures}</div></section>"
    )


def _figure(pair: Pair, drift: ColumnDrift) -> str:
    since = f", {began(drift.since, drift.until)}" if drift.since else ""
    said = f"PSI {drift.psi:.3f}{since}; unseen {drift.unseen:.1%}, missing {drift.missing:.1%}"
    drawing = _numeric(pair) if pair.numeric else _bars(pair)
    return (
        f"<figure><h3>{escape(pair.name)} <span class={drift.shift}>{drift.shift} shift</span></h3>"
        f"<p class=soft>{escape(said)}</p>{drawing}</figure>"
    )


def _numeric(pair: Pair) -> str:
    high = max(float(pair.usual.max(initial=0)), float(pair.now.max(initial=0)), 1e-9)
    wide, tall = (WIDTH - 2 * LEFT) / pair.usual.size, HEIGHT - FOOT

    def steps(shares: NDArray[np.float64]) -> str:
        return " ".join(
            f"V{tall - (tall - 4) * float(share) / high:.1f} H{LEFT + wide * (place + 1):.1f}"
            for place, share in enumerate(shares)
        )

    ends = (pair.labels[0], pair.labels[len(pair.labels) // 2], pair.labels[-1])
    places = ((LEFT, "start"), (WIDTH / 2, "middle"), (WIDTH - LEFT, "end"))
    ticks = "".join(
        f"<text x={x:.0f} y={HEIGHT - 6:.0f} text-anchor={anchor}>{escape(text)}</text>"
        for text, (x, anchor) in zip(ends, places, strict=True)
    )
    return _svg(
        HEIGHT,
        pair.name,
        f'<path class=usual d="M{LEFT} {tall} {steps(pair.usual)} V{tall} Z"/>'
        f'<path class=now d="M{LEFT} {tall} {steps(pair.now)} V{tall}"/>{ticks}',
    )


def _bars(pair: Pair) -> str:
    high = max(float(pair.usual.max(initial=0)), float(pair.now.max(initial=0)), 1e-9)
    made: list[str] = []
    for place, (label, usual, now) in enumerate(zip(pair.labels, pair.usual, pair.now, strict=True)):
        top, room = place * 30.0, WIDTH - 2 * LEFT
        text = label if len(label) <= 34 else f"{label[:33]}…"
        made.append(
            f"<text x={LEFT:.0f} y={top + 11:.0f}>{escape(text)} · {usual:.1%} → {now:.1%}</text>"
            f"<rect class=usual x={LEFT:.0f} y={top + 15:.0f} width={max(0.0, room * usual / high):.1f} height=10 />"
            f"<rect class=bar x={LEFT:.0f} y={top + 18:.0f} width={max(0.0, room * now / high):.1f} height=4 />"
        )
    return _svg(30.0 * max(1, len(pair.labels)), pair.name, "".join(made))


def _svg(height: float, name: str, inside: str) -> str:
    label = escape(f"{name}: reference and now", quote=True)
    return f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{label}">{inside}</svg>'
