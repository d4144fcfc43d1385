import math

import pytest

from tests.domain.making import CACHE, reading
from watchkeeper.connectors import Registry
from watchkeeper.domain import Condition, ConfigurationError, numbers, scope


def holds(expression: str, **metrics: float) -> bool | None:
    return Condition(expression).holds(reading(CACHE, **metrics).scope())


def test_a_condition_holds_or_does_not() -> None:
    assert holds("reading.used > 0.9", used=0.95) is True
    assert holds("reading.used > 0.9", used=0.9) is False


@pytest.mark.parametrize(
    "expression", ["reading.used > 0.9", "reading.used <= 0.9", "!(reading.used > 0.9)", "nothing.at_all > 1.0"]
)
def test_a_missing_name_gives_no_answer(expression: str) -> None:
    assert holds(expression, other=1.0) is None


def test_a_missing_name_that_does_not_matter_does_not_hinder() -> None:
    assert holds("reading.used > 0.9 || reading.absent > 1.0", used=0.95) is True
    assert holds("reading.used > 0.9 && reading.absent > 1.0", used=0.5) is False


def test_a_missing_name_that_matters_gives_no_answer() -> None:
    assert holds("reading.used > 0.9 && reading.absent > 1.0", used=0.95) is None
    assert holds("reading.used > 0.9 || reading.absent > 1.0", used=0.5) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("expression", ["reading.used > 0.9", "reading.used < 0.9", "reading.used == reading.used"])
def test_a_metric_that_is_no_number_is_missing(value: float, expression: str) -> None:
    assert holds(expression, used=value) is None


def test_only_finite_numbers_are_shown_to_conditions() -> None:
    given = {"a": 1, "nan": math.nan, "inf": math.inf, "minus": -math.inf, "zero": 0.0}
    assert numbers(given) == {"a": 1.0, "zero": 0.0}


@pytest.mark.parametrize("expression", ["reading.used", "'on'", "reading.used * 2.0"])
def test_what_is_not_true_or_false_is_no_answer(expression: str) -> None:
    assert holds(expression, used=0.95) is None


def test_a_division_by_zero_is_no_number() -> None:
    assert Condition("reading.a / reading.b").value(reading(CACHE, a=1.0, b=0.0).scope()) is None


def test_facts_and_state_can_be_named() -> None:
    within = scope(reading={}, facts={"client": "10.0.0.7"}, state="running")
    assert Condition("facts.client == '10.0.0.7' && state == 'running'").holds(within) is True


def test_a_condition_tried_on_a_sample_names_what_it_lacks() -> None:
    with pytest.raises(ConfigurationError, match=r"reading\.usd > 0\.9"):
        Condition("reading.usd > 0.9").check(reading(CACHE, used=0.5).scope())


def test_a_condition_tried_on_a_sample_passes_when_all_is_there() -> None:
    Condition("reading.used > 0.9").check(reading(CACHE, used=0.5).scope())


@pytest.mark.parametrize("expression", ["reading.used >", "", "reading..used", "((", "a b c"])
def test_a_broken_expression_is_a_configuration_error_that_shows_it(expression: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        Condition(expression)
    assert repr(expression) in told.value.what
    assert "cel.dev" in told.value.next_step


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("reading.used > 0.9 && facts.role == 'master'", {"used", "role"}),
        ("has(reading.used) && state == 'on'", {"used"}),
        ("alerts.exists(a, a.rule == 'x')", set()),
        ("reading['used'] > 0.9", None),
        ("reading.all(name, reading[name] > 0.0)", None),
        ("size(facts) > 0", None),
    ],
)
def test_it_is_known_what_a_condition_names_or_that_this_cannot_be_known(
    expression: str, named: set[str] | None
) -> None:
    assert Condition(expression).names == named


def test_a_condition_sees_the_same_whether_it_is_handed_everything_or_what_it_names() -> None:
    for connector in Registry.installed():
        whole = connector.sample.scope()
        for rule in connector.rules:
            for condition in filter(None, (rule.when, rule.clear)):
                assert condition.names is not None, condition.source
                assert condition.value(connector.sample.scope(condition.names)) == condition.value(whole)
