"""The histogram against the plain truth."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_monitor import Histogram

VALUES = st.lists(st.floats(min_value=1e-8, max_value=1e9), min_size=1, max_size=200)


def of(values: list[float], error: float = 0.01) -> Histogram:
    made = Histogram(error)
    for value in values:
        made.record(value)
    return made


@given(VALUES, st.floats(0, 1), st.sampled_from([0.001, 0.01, 0.1]))
def test_a_quantile_is_within_its_relative_error(values: list[float], q: float, error: float) -> None:
    truth = sorted(values)[math.floor(q * (len(values) - 1))]
    assert of(values, error).quantile(q) == pytest.approx(truth, rel=error * 1.0001)


@given(VALUES, VALUES)
def test_merging_gives_exactly_what_one_would_have_held(first: list[float], second: list[float]) -> None:
    merged = of(first)
    merged.merge(of(second))
    together = of(first + second)
    assert merged.buckets == together.buckets
    assert (merged.count, merged.minimum, merged.maximum) == (together.count, together.minimum, together.maximum)


@given(VALUES)
def test_it_survives_json(values: list[float]) -> None:
    made = of([0.0, *values])
    again = Histogram.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again.to_dict() == made.to_dict()
    assert again.quantile(0.5) == made.quantile(0.5)


def test_memory_grows_with_the_range_not_with_the_number() -> None:
    made = Histogram()
    for number in range(1, 100_001):
        made.record(number / 1000)
    assert made.count == 100_000
    assert len(made.buckets) < 650


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_has_no_bucket_is_refused_and_not_counted(value: float) -> None:
    made = Histogram()
    with pytest.raises(ValueError, match="finite numbers"):
        made.record(value)
    assert made.count == 0


def test_of_nothing_there_is_no_quantile() -> None:
    assert math.isnan(Histogram().quantile(0.5))


def test_histograms_of_different_error_do_not_merge() -> None:
    with pytest.raises(ValueError, match="cannot be merged"):
        Histogram(0.01).merge(Histogram(0.02))
