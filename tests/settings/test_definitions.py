"""A rule or runbook that could not work is refused when it is loaded, in words."""

from typing import Annotated

import pytest
from annotated_types import Ge

from tests.domain.making import reading
from watchkeeper.connectors.definitions import parse_rules, parse_runbook, seconds
from watchkeeper.domain import ConfigurationError, Effect, Health, Rule, Runbook, tool

SAMPLE = reading(used=0.5, room=1024.0)
RULE = """
- rule: redis-full
  when: reading.used > 0.9
  clear: reading.used < 0.8
  for: 4s
  severity: critical
  health: DEGRADED
  why: It is full.
  source: redis.io
  metric: used
"""
RUNBOOK = """---
when: alerts.exists(a, a.rule == "redis-full")
cause: It outgrew.
ladder:
  - [{tool: redis_purge}]
  - - tool: redis_grow
      with: {value: "= reading.room * 2.0"}
      why: There is room.
healed: reading.used < 0.8
---
# Full

The page.
"""


@tool(Effect.REVERSIBLE)
async def redis_purge(session: object) -> None:
    """Purge."""


@tool(Effect.REVERSIBLE)
async def redis_grow(session: object, value: Annotated[int, Ge(10)], note: str = "") -> None:
    """Grow."""


def rules(text: str = RULE) -> tuple[Rule, ...]:
    return parse_rules(text, kind="redis", sample=SAMPLE, where="rules.yaml")


def runbook(text: str = RUNBOOK) -> Runbook:
    return parse_runbook(text, name="full", kind="redis", sample=SAMPLE, tools=[redis_purge, redis_grow])


def refused_rule(old: str, new: str) -> str:
    assert old in RULE
    with pytest.raises(ConfigurationError) as told:
        rules(RULE.replace(old, new))
    return str(told.value)


def refused_runbook(old: str, new: str) -> str:
    assert old in RUNBOOK
    with pytest.raises(ConfigurationError) as told:
        runbook(RUNBOOK.replace(old, new))
    assert "runbook full" in told.value.what
    return str(told.value)


def test_a_rule_is_read() -> None:
    (found,) = rules()
    assert (found.id, found.for_seconds, found.health, found.severity) == (
        "redis-full",
        4.0,
        Health.DEGRADED,
        "critical",
    )


def test_a_runbook_is_read_with_its_page() -> None:
    found = runbook()
    assert [[step.tool for step in rung] for rung in found.ladder] == [["redis_purge"], ["redis_grow"]]
    assert found.ladder[1][0].expressions["value"].source == "reading.room * 2.0"
    assert found.page.startswith("# Full")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("severity:", "severty:", "did you mean `severity`?"),
        ("  for: 4s", "  fro: 4s", "did you mean `for`?"),
        ("reading.used > 0.9", "reading.used >", "not valid CEL"),
        ("reading.used > 0.9", "reading.usd > 0.9", "reading.usd"),
        ("reading.used < 0.8", "reading.usd < 0.8", "reading.usd"),
        ("reading.used > 0.9", "reading.used", "neither true nor false"),
        ("critical", "terrible", "severity"),
        ("DEGRADED", "BROKEN", "health"),
        ("for: 4s", "for: 4 parsecs", "not a duration"),
        ("for: 4s", "for: -4", "not a duration"),
        ("metric: used", "metric: usd", "did you mean `used`?"),
    ],
)
def test_a_rule_that_could_not_work_is_refused_by_name(old: str, new: str, said: str) -> None:
    told = refused_rule(old, new)
    assert "rules.yaml, rule redis-full" in told
    assert said in told


@pytest.mark.parametrize("text", ["rule: x", "- - -", "[", "- 3", "'"])
def test_a_file_that_is_no_list_of_rules_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"rules\.yaml"):
        rules(text)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="redis-full is there twice"):
        rules(RULE + RULE)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cause:", "casue:", "did you mean `cause`?"),
        ("with:", "wiht:", "did you mean `with`?"),
        ("redis_purge", "redis_pruge", "did you mean `redis_purge`?"),
        ("{value:", "{valeu:", "did you mean `value`?"),
        ("reading.room * 2.0", "reading.rom * 2.0", "reading.rom"),
        ("reading.room * 2.0", "reading.room *", "not valid CEL"),
        ('"= reading.room * 2.0"', "3", "greater than or equal to 10"),
        ("reading.used < 0.8", "reading.usd < 0.8", "reading.usd"),
        ('alerts.exists(a, a.rule == "redis-full")', "alert.rule == 'x'", "alert"),
        ("{value: ", "{note: ", "redis_grow needs value"),
        ("cause: It outgrew.\n", "", "cause"),
    ],
)
def test_a_runbook_that_could_not_work_is_refused_by_name(old: str, new: str, said: str) -> None:
    assert said in refused_runbook(old, new)


def test_plain_arguments_are_checked_beside_expressions() -> None:
    assert "note" in refused_runbook('{value: "= reading.room * 2.0"}', '{value: "= reading.room * 2.0", note: 3}')


def test_front_matter_that_is_no_yaml_is_refused() -> None:
    assert "not valid YAML" in refused_runbook("cause: It outgrew.", "cause: [")


@pytest.mark.parametrize(("text", "expected"), [("4s", 4), ("200ms", 0.2), ("5m", 300), ("1.5h", 5400), (3, 3)])
def test_durations(text: str | float, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "4", "s", "-4s", "4 s", "4y", -1.0, float("nan"), float("inf")])
def test_what_is_no_duration(text: str | float) -> None:
    with pytest.raises(ConfigurationError, match="not a duration"):
        seconds(text)
