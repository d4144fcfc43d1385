"""What changed between two benchmarks is told, and what is worse can fail a build."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from watchkeeper_lab.bench import compare
from watchkeeper_lab.cli import bench

cli = CliRunner()


def row(name: str = "redis-killed", total: float = 5.0, **changes: Any) -> dict[str, Any]:
    good = {
        "kind": "fault",
        "right": True,
        "root_correct": True,
        "tool_correct": True,
        "healed": True,
        "falsely_healed": False,
        "needless_actions": 0,
        "data_lost": 0,
    }
    return {"name": name, "seconds": {"total": total}} | good | changes


def results(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"scenarios": list(rows), "baselines": {}}


def only(before: dict[str, Any], after: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    (change,) = compare(results(before), results(after))
    return change.worse, change.better


@pytest.mark.parametrize(
    ("after", "worse"),
    [
        (row(), ()),
        (row(healed=False, right=False), ("healed 100% → 0%",)),
        (row(root_correct=False), ("root 100% → 0%",)),
        (row(falsely_healed=True), ("falsely healed 0.0 → 1.0 a run",)),
        (row(data_lost=3), ("lost 0.0 → 3.0 a run",)),
        (row(total=8.0), ("slower",)),
        (row(total=5.9), ()),
    ],
)
def test_what_is_worse_is_named_and_noise_is_not(after: dict[str, Any], worse: tuple[str, ...]) -> None:
    assert only(row(), after)[0] == worse


def test_what_is_better_is_no_regression() -> None:
    assert only(row(total=9.0, needless_actions=2), row()) == ((), ("needless 2.0 → 0.0 a run", "faster"))


def test_medians_are_compared_not_single_runs() -> None:
    before, after = [row(total=5.0)] * 3, [row(total=5.0), row(total=5.1), row(total=40.0)]
    (change,) = compare(results(*before), results(*after))
    assert not change.regressed
    assert change.seconds == (5.0, 5.1)


def test_a_scenario_that_is_gone_is_worse_and_a_new_one_is_not() -> None:
    gone, new = compare(results(row("old")), results(row("new")))
    assert (gone.name, gone.worse) == ("old", ("not run any more",))
    assert (new.name, new.worse, new.better) == ("new", (), ("new",))


@pytest.mark.parametrize(("flags", "code"), [([], 0), (["--fail-on-regression"], 1)])
def test_the_exit_code_tells_a_regression_where_that_is_wanted(tmp_path: Path, flags: list[str], code: int) -> None:
    (tmp_path / "a.json").write_text(json.dumps(results(row())))
    (tmp_path / "b.json").write_text(json.dumps(results(row(healed=False, right=False))))
    answer = cli.invoke(bench, ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), *flags])
    assert answer.exit_code == code
    assert "redis-killed" in answer.stdout
    assert "Worse: redis-killed." in answer.stdout
    same = cli.invoke(bench, ["compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"), *flags])
    assert same.exit_code == 0
    assert "Nothing is worse." in same.stdout


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"scenarios": []}'])
def test_what_is_no_result_is_refused_in_two_lines(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    answer = cli.invoke(bench, ["compare", str(path), str(path)])
    assert answer.exit_code == 2
    assert len(answer.stderr.strip().splitlines()) == 2
