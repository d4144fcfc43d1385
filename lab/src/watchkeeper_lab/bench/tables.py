"""The results for a person: per scenario, and each contender beside the others."""

from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from watchkeeper_lab.bench.model import ASKING, RUNBOOKS
from watchkeeper_lab.bench.scripted import BANNER
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.row import SUMMED

COUNTED = {"root_correct": "root", "tool_correct": "tool", "healed": "healed", "falsely_healed": "false"}
SUMS = {"needless_actions": "extra", "data_lost": "lost"}
PARTS = ("detect", "decide", "act", "verify", "total")


def tables(result: dict[str, Any]) -> Group:
    """One line per scenario: what was right in how many of its runs, and where the seconds went; then the contenders.

    Raises `LabError` where there is nothing to show.
    """
    rows: list[dict[str, Any]] = result["scenarios"]
    if not rows:
        raise LabError("The benchmark has no rows: nothing was run.", "See `watchkeeper lab faults`.")
    right, spent = _shown("Runs in which it was so"), _shown("Seconds, median/worst")
    _columns(right, "scenario", "runs", *COUNTED.values(), *SUMS.values())
    _columns(spent, "scenario", *PARTS)
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        right.add_row(name, str(len(mine)), *[str(sum(row[field] for row in mine)) for field in (*COUNTED, *SUMS)])
        if mine[0]["kind"] == "fault":
            spans = [[row["seconds"][part] for row in mine] for part in PARTS]
            spent.add_row(name, *[_span(span) for span in spans])
    shown: list[Table | str] = [right, spent] if spent.rows else [right]
    if result.get("planner") in ASKING:
        shown += [*_thinking(result), *_beside_runbooks(result)]
    if result.get("protocol_run"):
        shown = [BANNER, *shown, BANNER]
    return Group(*shown, _contenders(result)) if result["baselines"] else Group(*shown)


def _span(seconds: list[float]) -> str:
    most = f"/{max(seconds):.1f}" if len(seconds) > 1 else ""
    return f"{median(seconds):.1f}{most}"


def _thinking(result: dict[str, Any]) -> list[Table | str]:
    """What the language model took, the median of the runs of each scenario."""
    rows: list[dict[str, Any]] = result["scenarios"]
    shown = _shown("The language model, median of a run", padding=0)
    _columns(shown, "scenario", "steps", "asked", "back", "prompt", "in", "out", "$", "s")
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        took = {field: median(row["thinking"][field] for row in mine) for field in ("prompt", *SUMMED)}
        steps = median(row["actions"] for row in mine)
        dollars = "?" if took["unpriced"] else f"{took['dollars']:.4f}"
        counts = [f"{took[field]:.0f}" for field in ("calls", "sent_back", "prompt", "tokens_in", "tokens_out")]
        shown.add_row(name, f"{steps:.0f}", *counts, dollars, f"{took['seconds']:.1f}")
    told = (
        "asked: requests; back: answers sent back; prompt: tokens of the first request; in, out: tokens of all; "
        "s: the model's own seconds. Prices: "
    )
    return [shown, told + ("; ".join(result["summary"]["thinking"]["prices"]) or "none") + "."]


def _beside_runbooks(result: dict[str, Any]) -> list[Table]:
    """The same scenarios with runbooks alone, beside it."""
    alone: list[dict[str, Any]] = result["baselines"].get(RUNBOOKS, [])
    if not alone:
        return []
    shown = _shown(f"Planner {result['planner']} | runbooks alone, runs in which it was so", padding=0)
    _columns(shown, "scenario", "right", *COUNTED.values(), *SUMS.values(), "total s")
    for name in dict.fromkeys(row["name"] for row in result["scenarios"]):
        cells = [_cells([row for row in rows if row["name"] == name]) for rows in (result["scenarios"], alone)]
        shown.add_row(name, *[f"{ours}|{others}" for ours, others in zip(*cells, strict=True)])
    return [shown]


def _cells(rows: list[dict[str, Any]]) -> list[str]:
    counts = [str(sum(row[field] for row in rows)) for field in ("right", *COUNTED, *SUMS)]
    return [*counts, f"{median(row['seconds']['total'] for row in rows):.0f}" if rows else ""]


def _contenders(result: dict[str, Any]) -> Table:
    shown = _shown("Beside the baselines")
    _columns(shown, "", "healed", "root", "false", "controls", "extra", "lost", "failed", "median")
    for name, told in {"watchkeeper": result["summary"], **result["summary"]["baselines"]}.items():
        failed = told["requests_failed"] / max(1, told["requests"])
        shown.add_row(
            name,
            f"{told['faults_healed']}/{told['faults']}",
            *[str(told[one]) for one in ("faults_root_correct", "falsely_healed")],
            f"{told['controls_left_alone']}/{told['controls']}",
            *[str(told[one]) for one in ("needless_actions", "data_lost")],
            f"{failed:.1%}",
            f"{told['median_seconds']['total']:.1f}",
        )
    return shown


def _shown(title: str, padding: int = 1) -> Table:
    return Table(title=title, box=SIMPLE_HEAD, padding=(0, padding, 0, 0))


def _columns(table: Table, first: str, *others: str) -> None:
    table.add_column(first, no_wrap=True)
    for column in others:
        table.add_column(column, justify="right")
