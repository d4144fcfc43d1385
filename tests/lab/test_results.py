"""What the benchmark has measured is kept, whatever happens next, and has numbers everywhere."""

import json
from pathlib import Path
from typing import Any

from watchkeeper_lab.bench import Order
from watchkeeper_lab.bench.measure import Results
from watchkeeper_lab.row import make_row
from watchkeeper_lab.scenario import scenario

from .test_row import FULL, observed

FIELDS = {
    "name", "kind", "planner", "run", "detected", "root_correct", "tool_correct", "healed", "falsely_healed", "verdict",
    "final_health", "actions", "needless_actions", "retries", "data_lost", "requests", "requests_failed", "seconds",
}  # fmt: skip


def absent(value: Any, where: str = "") -> list[str]:
    """Where a null is."""
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in absent(one, f"{where}.{key}")]
    if isinstance(value, list):
        return [found for one in value for found in absent(one, where)]
    return [where] if value is None else []


def test_each_row_is_in_the_file_as_soon_as_it_is_there_and_nothing_is_null(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = Results(Order(seed=7), path)
    results.add(make_row(FULL, observed(), planner="runbook", run=1))
    told = json.loads(path.read_text())
    assert (told["complete"], told["seed"], told["baselines"]) == (False, 7, {})
    results.add(
        make_row(scenario("healthy"), observed(fixes=[], incidents=[]), planner="p", run=1), "restart_unhealthy"
    )
    told = results.write(complete=True)
    assert json.loads(path.read_text()) == json.loads(json.dumps(told))
    assert told["complete"]
    for row in (*told["scenarios"], *told["baselines"]["restart_unhealthy"]):
        assert set(row) >= FIELDS
        assert set(row["seconds"]) == {"detect", "decide", "act", "verify", "total"}
    assert told["summary"]["baselines"]["restart_unhealthy"]["controls_left_alone"] == 1
    assert absent(told) == []
