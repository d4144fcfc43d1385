"""No figure that is none reaches a rule, the store or a person as one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.making import CACHE, T0, reading, rule
from watchkeeper.domain import Probe, Reading, Resource
from watchkeeper.store.transaction import adapter
from watchkeeper.watch import checked
from watchkeeper.watch.checked import Garbage


def of(facts: Any = None, **metrics: Any) -> Reading:
    return checked.reading(Reading("x", T0, 0.1, metrics, facts or {}, "fine"), CACHE.id, T0, 0.1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "used_ratio is not a number (NaN)"),
        (float("inf"), "used_ratio is beyond measure (inf)"),
        (float("-inf"), "used_ratio is beyond measure (-inf)"),
        (1e308, "used_ratio is beyond measure (1e+308)"),
        (10**400, "used_ratio is beyond measure"),
        (-0.1, "used_ratio is negative (-0.1)"),
        ("0.5", "used_ratio is str '0.5'"),
        (None, "used_ratio is NoneType None"),
        ([1.0], "used_ratio is list [1.0]"),
    ],
)
def test_a_figure_that_is_none_is_left_out_and_said_and_no_rule_decides_on_it(value: Any, said: str) -> None:
    found = of(used_ratio=value, keys=3)
    assert found.metrics == {"keys": 3.0}
    assert found.error == f"figures that are none: {said}"
    assert rule("reading.used_ratio > 0.9").when.holds(found.scope()) is None


def test_what_may_be_negative_and_what_is_whole_stay() -> None:
    assert of(offset=-3, keys=7, up=True).metrics == {"offset": -3.0, "keys": 7.0, "up": 1.0}


def test_what_it_is_configured_with_stays_or_no_change_would_ever_be_noticed() -> None:
    told = Reading("x", T0, 0.0, configuration={"maxmemory": "8\x00"})

    assert checked.reading(told, "x", T0, 0.0).configuration == {"maxmemory": "8\N{REPLACEMENT CHARACTER}"}


def test_texts_are_bounded_and_can_be_stored_anywhere() -> None:
    found = of({"long": "x" * 100_000, "nul": "a\x00b", "half": "\ud800", "number": 3})
    assert len(found.facts["long"]) < 5000
    assert "95904 more characters were cut" in found.facts["long"]
    assert (found.facts["nul"], found.facts["half"], found.facts["number"]) == ("a\ufffdb", "?", "3")
    assert found.ok


def test_thousands_of_metrics_are_cut_and_that_is_said() -> None:
    found = of(**{f"m{n}": 1.0 for n in range(5000)})
    assert len(found.metrics) == 1000
    assert found.error is not None
    assert "it has 5000 metrics, of which 1000 are kept" in found.error


@pytest.mark.parametrize("found", [None, "fine", 3, {"used": 1.0}, Probe("x", T0, True, 0.0, "PING")])
def test_what_is_no_reading_is_garbage(found: Any) -> None:
    with pytest.raises(Garbage, match="instead of a Reading"):
        checked.reading(found, CACHE.id, T0, 0.1)


@pytest.mark.parametrize("found", [None, True, Probe("x", T0, "yes", 0.0, "PING")])  # type: ignore[arg-type]
def test_what_is_no_probe_is_garbage(found: Any) -> None:
    with pytest.raises(Garbage, match="instead of a Probe"):
        checked.probe(found, CACHE.id, T0, 0.1)


@pytest.mark.parametrize("key", ["", "cache", "a/b/c", "a/b/c/", "/b/c/d", "a/b/c/\x00", "a/b/c/" + "d" * 600, None, 7])
def test_what_has_no_id_cannot_be_watched(key: Any) -> None:
    with pytest.raises(Garbage, match="an id that is none"):
        checked.resource(Resource(key, "cache"))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=10) | st.integers(), anything, max_size=6), anything, anything)
def test_whatever_a_connector_gives_can_be_stored_and_read_back(metrics: Any, facts: Any, state: Any) -> None:
    given: Any = Reading("x", T0, 0.1, metrics, facts, state)
    found = checked.reading(given, CACHE.id, T0, 0.1)
    body = json.dumps(adapter(Reading).dump_python(found, mode="json"), allow_nan=False)
    assert "\\u0000" not in body
    body.encode()
    assert adapter(Reading).validate_python(json.loads(body)) == found


def test_a_sound_reading_is_left_as_it_is() -> None:
    assert checked.reading(reading(used=0.5), CACHE.id, T0, 0.001) == reading(used=0.5)
