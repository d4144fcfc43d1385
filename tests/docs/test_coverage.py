"""docs/coverage.md says what is installed: no rule that does not exist, no alert without an answer."""

import runpy
import subprocess
import sys

import pytest
import yaml

from tests.docs.pages import ROOT


def test_the_page_is_current_and_each_rule_it_names_exists() -> None:
    command = [sys.executable, ROOT / "scripts" / "coverage", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    assert done.returncode == 0, done.stderr


def test_the_whole_checklist_is_answered() -> None:
    said = yaml.safe_load((ROOT / "docs" / "coverage.yaml").read_text())

    counts = {group["group"]: len(group["alerts"]) for group in said["groups"]}
    assert counts == {"Machines": 35, "Containers": 9, "nginx": 3, "PostgreSQL": 22, "Redis": 12}
    assert all(len(group["commit"]) == 40 for group in said["groups"])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"rules": ["redis-downn"]}, "RedisDown: there is no rule redis-downn; did you mean redis-down?"),
        ({"rules": ["redis-down"], "not": "needed"}, "RedisDown needs one of: rules, instead, not"),
        ({}, "RedisDown needs one of: rules, instead, not"),
        ({"why": "so"}, "RedisDown: why is not known"),
    ],
)
def test_an_answer_that_cannot_be_right_is_an_error(answer: dict[str, object], why: str) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "coverage"))
    said = yaml.safe_load((ROOT / "docs" / "coverage.yaml").read_text())
    said["groups"] = [{"group": "Redis", "file": "redis.yml", "commit": "abc", "alerts": {"RedisDown": answer}}]

    with pytest.raises(script["Wrong"]) as problem:
        list(script["page"](said, ["redis-down", "redis-slow"]))
    assert str(problem.value).startswith(why)
