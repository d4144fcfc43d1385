"""What changed from one benchmark to another: medians per scenario, runs that went right or wrong, what is worse."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

from rich.box import SIMPLE_HEAD
from rich.table import Table

from watchkeeper_lab.errors import BadInputError

SLOWER = 1.25
"""A median that has grown by so much counts as slower, if also by `SLOWER_SECONDS`: less is this machine's noise."""
SLOWER_SECONDS = 1.0
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """One scenario before and after; shares of runs that were right, medians of `total` in seconds."""

    name: str
    kind: str
    runs: tuple[int, int]
    right: tuple[float, float]
    seconds: tuple[float, float]
    worse: tuple[str, ...]
    better: tuple[str, ...]

    @property
    def regressed(self) -> bool:
        """Whether anything about it is worse."""
        return bool(self.worse)


def read(path: Path) -> dict[str, Any]:
    """Results from their file; raises `BadInputError` where it is none, or has no rows."""
    try:
        found: Any = json.loads(path.read_text())
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}.", "`watchkeeper bench --json FILE` writes one."
        ) from None
    except ValueError:
        raise BadInputError(f"{path} is not JSON.", "`watchkeeper bench --json FILE` writes such a file.") from None
    rows: Any = cast(dict[str, Any], found).get("scenarios") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not rows:
        raise BadInputError(f"{path} holds no results of a benchmark.", "`watchkeeper bench --json FILE` writes them.")
    return cast(dict[str, Any], found)


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What changed, scenario by scenario; what only one of them has is told too, and is worse where it is gone."""
    old, new = _by_name(before["scenarios"]), _by_name(after["scenarios"])
    return [_change(name, old.get(name, []), new.get(name, [])) for name in dict.fromkeys([*old, *new])]


def _change(name: str, old: Rows, new: Rows) -> Change:
    kind = (new or old)[0]["kind"]
    right = (_share(old, "right"), _share(new, "right"))
    seconds = (_median(old), _median(new))
    worse: list[str] = []
    better: list[str] = []
    if not old:
        better.append("new")
    elif not new:
        worse.append("not run any more")
    else:
        for field, told in (("root_correct", "root"), ("tool_correct", "tool"), ("healed", "healed")):
            was, now = _share(old, field), _share(new, field)
            (worse if now < was else better).extend([f"{told} {was:.0%} → {now:.0%}"] if now != was else [])
        for field, told in (
            ("falsely_healed", "falsely healed"),
            ("needless_actions", "needless"),
            ("data_lost", "lost"),
        ):
            was, now = _share(old, field), _share(new, field)
            (worse if now > was else better).extend([f"{told} {was:.1f} → {now:.1f} a run"] if now != was else [])
        if kind == "fault" and min(seconds) > 0 and abs(seconds[1] - seconds[0]) >= SLOWER_SECONDS:
            if seconds[1] / seconds[0] >= SLOWER:
                worse.append("slower")
            elif seconds[0] / seconds[1] >= SLOWER:
                better.append("faster")
    return Change(name, kind, (len(old), len(new)), right, seconds, tuple(worse), tuple(better))


def table(changes: list[Change]) -> Table:
    """All scenarios, one line each."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("scenario", "runs", "right", "total, median", "what changed"):
        shown.add_column(column, no_wrap=column == "scenario")
    for one in changes:
        spans = f"{one.seconds[0]:.1f} → {one.seconds[1]:.1f} s" if one.kind == "fault" else ""
        told = "; ".join([*(f"WORSE: {word}" for word in one.worse), *one.better]) or "as before"
        shown.add_row(
            one.name,
            f"{one.runs[0]} → {one.runs[1]}",
            f"{one.right[0]:.0%} → {one.right[1]:.0%}",
            spans,
            told,
            style="red" if one.regressed else None,
        )
    return shown


def _by_name(rows: Rows) -> dict[str, Rows]:
    return {name: [row for row in rows if row["name"] == name] for name in dict.fromkeys(row["name"] for row in rows)}


def _share(rows: Rows, field: str) -> float:
    return sum(float(row.get(field) or 0) for row in rows) / len(rows) if rows else 0.0


def _median(rows: Rows) -> float:
    return float(median(row["seconds"]["total"] for row in rows)) if rows else 0.0
