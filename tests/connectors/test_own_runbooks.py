"""A user's own rules and runbooks stand beside the shipped ones, and are checked as strictly."""

from pathlib import Path

import pytest

from watchkeeper.connectors import Registry
from watchkeeper.domain import ConfigurationError

RUNBOOK = """---
when: alerts.exists(a, a.rule == "redis-memory-full")
cause: Ours.
ladder:
  - [{tool: redis_set_maxmemory, with: {value: "= reading.safe_maxmemory_bytes"}}]
---
Call Ada.
"""
RULE = """
- rule: redis-quiet
  when: reading.ops_per_second < 1.0
  for: 30s
  severity: warning
  health: DEGRADED
  why: Nobody uses it; the shop is down.
  source: our own experience
"""


def folder(tmp_path: Path, *, runbook: str = RUNBOOK, name: str = "memory-full", rule: str = RULE) -> Path:
    (tmp_path / "redis" / "runbooks").mkdir(parents=True)
    (tmp_path / "redis" / "runbooks" / f"{name}.md").write_text(runbook)
    (tmp_path / "redis" / "rules.yaml").write_text(rule)
    return tmp_path


def test_a_runbook_of_ones_own_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    registry = Registry.installed()
    shipped = len(registry.runbooks)
    registry.extend(folder(tmp_path))
    (found,) = [runbook for runbook in registry.runbooks if runbook.name == "memory-full"]
    assert (found.cause, len(registry.runbooks)) == ("Ours.", shipped)


def test_a_runbook_with_a_new_name_comes_before_the_shipped_ones(tmp_path: Path) -> None:
    registry = Registry.installed()
    shipped = len(registry.runbooks)
    registry.extend(folder(tmp_path, name="ours"))
    assert registry.runbooks[0].name == "ours"
    assert len(registry.runbooks) == shipped + 1


def test_a_rule_of_ones_own_is_added(tmp_path: Path) -> None:
    registry = Registry.installed()
    registry.extend(folder(tmp_path))
    assert "redis-quiet" in [rule.id for rule in registry.rules]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            {"runbook": RUNBOOK.replace("redis_set_maxmemory", "redis_set_maxmemry")},
            "did you mean `redis_set_maxmemory`",
        ),
        ({"runbook": RUNBOOK.replace("reading.safe", "reading.sfe")}, "cannot be evaluated"),
        ({"runbook": RUNBOOK.replace("cause:", "case:")}, "did you mean `cause`"),
        ({"rule": RULE.replace("< 1.0", "< ")}, "not valid CEL"),
    ],
)
def test_what_could_not_work_is_refused_with_the_nearest_right_name(
    tmp_path: Path, broken: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Registry.installed().extend(folder(tmp_path, **broken))


def test_a_folder_for_a_technology_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "redys").mkdir()
    with pytest.raises(ConfigurationError, match="no connector `redys`"):
        Registry.installed().extend(tmp_path)


def test_runbooks_are_left_out_by_name_ones_own_too_and_a_misspelt_name_is_told(tmp_path: Path) -> None:
    registry = Registry.installed()
    registry.extend(folder(tmp_path, name="ours"))
    every = {f"{book.kind}/{book.name}" for book in registry.runbooks}
    registry.leave_out(["redis/ours", "postgres/*"])
    left = {f"{book.kind}/{book.name}" for book in registry.runbooks}
    assert every - left == {"redis/ours", *(name for name in every if name.startswith("postgres/"))}
    assert "postgres-bloat" in [rule.id for rule in registry.rules], "what they are for is noticed all the same"
    for wrong, right in (("redis/memory-fall", "redis/memory-full"), ("memory-full", "redis/memory-full")):
        with pytest.raises(ConfigurationError, match=wrong) as told:
            Registry.installed().leave_out([wrong])
        assert right in told.value.what
