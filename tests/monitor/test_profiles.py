"""Profiles merge to the same, in any order and however the traffic was split."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import datasketches as sketches
import numpy as np
import pytest
from benchmarks.monitor_sketches import streams
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper_monitor import Monitor, Profile
from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.folding import Folding
from watchkeeper_monitor.histogram import Histogram
from watchkeeper_monitor.numbers import Numbers, Shares

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
NAMES = st.text("abcdefgh", min_size=1, max_size=3)
VALUES = st.lists(st.floats(-1e6, 1e6), max_size=50)


def counted(names: list[str], limit: int) -> Counts:
    made = Counts(limit)
    for name in names:
        made.add(name)
    return made


def exactly(counts: Counts) -> dict[str, Any]:
    """Without the frequent ones of the rest: those depend on the order, within what `short` says."""
    return {name: part for name, part in counts.to_dict().items() if name not in ("frequent", "short")}


@settings(max_examples=80, deadline=None)
@given(st.lists(NAMES), st.lists(NAMES), st.lists(NAMES), st.integers(1, 8))
def test_counts_are_the_same_in_any_order_and_split(a: list[str], b: list[str], c: list[str], limit: int) -> None:
    every = a + b + c
    together = counted(every, limit)
    left = counted(a, limit)
    left.merge(counted(b, limit))
    left.merge(counted(c, limit))
    right = counted(c, limit)
    other = Counts.from_dict(counted(b + a, limit).to_dict())
    right.merge(other)
    assert exactly(left) == exactly(together)
    assert exactly(right) == exactly(together)
    assert left.total == len(every)
    for made in (together, left, right):
        assert made.short * (max(1, limit // 2) + 1) <= made.other
        assert not made.kept.keys() & made.frequent.keys()
        for name in set(every):
            times = made.found().get(name, 0)
            assert times <= every.count(name) <= times + (0 if name in made.kept else made.short)


def flood(kind: str) -> list[str]:
    """Streams that are hard on whoever may not keep all names."""
    distinct, often = [f"once-{n}" for n in range(8000)], [f"often-{n}" for n in range(20) for _ in range(300)]
    return {
        "frequent ones first": often + distinct,
        "frequent ones last": distinct + often,
        "one by one, in turn": [each for pair in zip(often, distinct, strict=False) for each in pair],
        "each twice, far apart": distinct + distinct,
        "rising": [f"r{n}" for n in range(150) for _ in range(n)],
        "few": [f"v{n % 77}" for n in range(9000)],
        "Zipf": streams(np.random.default_rng(50))["Zipf 1.2"][:40_000],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("frequent ones first", "frequent ones last", "one by one, in turn", "each twice, far apart"),
        *("rising", "few", "Zipf"),
    ],
)
def test_distinct_and_frequent_names_are_as_sure_as_datasketches_says_of_its_own(kind: str) -> None:
    """Each beside the exact counts, within the bounds it states itself; in two halves, merged."""
    values = flood(kind)
    truth = Counter(values)
    made = counted(values[::2], 1000)
    made.merge(counted(values[1::2], 1000))
    cpc, frequent = sketches.cpc_sketch(10), sketches.frequent_strings_sketch(10)
    for name, times in truth.items():
        cpc.update(name)
        frequent.update(name, times)

    assert cpc.get_lower_bound(3) <= len(truth) <= cpc.get_upper_bound(3)
    assert made.distinct == pytest.approx(len(truth), rel=3 / 1000**0.5 if made.full else 0)
    assert made.short <= made.other / 501
    for name, times in truth.items():
        counted_here = made.found().get(name, 0)
        assert counted_here <= times <= counted_here + (0 if name in made.kept else made.short)
        assert frequent.get_lower_bound(name) <= times <= frequent.get_upper_bound(name)
    surely = frequent.get_frequent_items(sketches.frequent_items_error_type.NO_FALSE_POSITIVES)
    heavy = {name for name, *_ in surely if truth[name] > made.short}
    assert heavy <= made.found().keys()
    assert {name for name, times in truth.items() if times > made.short} <= made.found().keys()


def test_the_kept_figures_say_that_we_are_no_worse_than_datasketches() -> None:
    found = json.loads((RESULTS / "monitor-sketches.json").read_text())["streams"]
    for each in found.values():
        assert each["ours"]["distinct_error"] <= each["datasketches"]["distinct_error"] + 0.005
        assert each["ours"]["top_10_found"] == each["datasketches"]["top_10_found"] == 1


def test_the_most_frequent_classes_are_in_the_summary_however_many_there_are() -> None:
    monitor = Monitor("search")
    for number in range(6000):
        monitor.track("often" if number % 4 == 0 else f"rare-{number}")
    said = monitor.summary()
    assert next(iter(said.classes)) == "often"
    assert said.classes["often"] == pytest.approx(1500, rel=0.01)


@settings(max_examples=50, deadline=None)
@given(st.lists(NAMES), st.integers(1, 8))
def test_what_is_kept_is_counted_exactly(names: list[str], limit: int) -> None:
    made = counted(names, limit)
    assert all(times == names.count(name) for name, times in made.kept.items())
    assert len(made.kept) == min(limit, len(set(names)))


@settings(max_examples=50, deadline=None)
@given(VALUES.map(np.array), st.integers(0, 50))
def test_an_array_counts_as_its_values_one_by_one(values: Any, cut: int) -> None:
    values = values.astype(float)
    one_by_one, split = Numbers(), Numbers()
    for value in values.tolist():
        one_by_one.record(value)
    split.record_all(values[cut:])
    split.record_all(values[:cut])
    assert one_by_one.count == split.count == values.size
    assert one_by_one.positive.zeros == split.positive.zeros
    if values.size:
        assert (split.minimum, split.maximum) == (values.min(), values.max())
        assert split.total == pytest.approx(math.fsum(values), abs=1e-6)
        for q in (0, 0.25, 0.5, 0.99, 1):
            true = np.quantile(values, q, method="lower")
            assert split.quantile(q) == pytest.approx(true, rel=0.0101, abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-8, 1e9), min_size=1, max_size=60), st.integers(0, 60))
def test_a_histogram_of_an_array_does_not_depend_on_how_it_was_cut(values: list[float], cut: int) -> None:
    whole, parts = Histogram(), Histogram()
    whole.record_all(np.array(values))
    parts.record_all(np.array(values[:cut]))
    parts.record_all(np.array(values[cut:]))
    assert whole.buckets == parts.buckets


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1))
def test_shares_on_an_edge_count_as_not_above_it(values: list[float]) -> None:
    shares = Shares()
    shares.record_all(np.array(values))
    for edge in (0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1):
        if round(edge * 200) == pytest.approx(edge * 200):
            assert shares.at_most(edge) == sum(value <= edge for value in values)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["card", "cash", "gold"]),
        st.sampled_from(["card", "cash", None]),
        st.sampled_from([0.1, 0.5, 0.95, None, 7.0]),
        st.sampled_from([0.01, 0.2, None, -1.0]),
        st.sampled_from(["eu", "us", None]),
        st.sampled_from([{"age": 3.0}, {"age": -1.5, "plan": "pro"}, {"plan": None}, None]),
    ),
    max_size=20,
)


def tracked(rows: list[Any], drift_window: int) -> Profile:
    folding = Folding("bot", "1", drift_window=drift_window, remember=64)
    made = [
        (handle, said, confidence, seconds, None, (None, None, None, true, segment, features, None))
        for handle, (said, true, confidence, seconds, segment, features) in enumerate(rows)
    ]
    for start in range(0, len(made), 7):
        folding.rows(list(zip(*made[start : start + 7], strict=True)))
    return folding.profile()


def plain(profile: Profile) -> dict[str, Any]:
    """Without what floating-point sums and the clock decide."""

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: of(each) for name, each in value.items() if name not in ("began", "ended")}
        if isinstance(value, list):
            return [of(each) for each in value]
        return round(value, 9) if isinstance(value, float) else value

    return of(profile.to_dict())


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, ROWS)
def test_replicas_merge_to_what_one_would_have_counted(a: list[Any], b: list[Any], c: list[Any]) -> None:
    together = plain(tracked(a + b + c, 10_000))
    first = tracked(c, 10_000)
    first.merge(Profile.from_dict(json.loads(json.dumps(tracked(a, 3).to_dict()))))
    first.merge(tracked(b, 10_000))
    assert plain(first) == together


def test_profiles_of_different_versions_do_not_merge() -> None:
    with pytest.raises(ValueError, match="bot 1 and bot 2 cannot be merged"):
        Profile("bot", "1").merge(Profile("bot", "2"))


def test_a_profile_from_a_newer_monitor_is_refused_with_the_reason() -> None:
    content = Profile("bot", "1").to_dict() | {"format": 99}
    with pytest.raises(ValueError, match=r"format 99, from a newer watchkeeper-monitor.*upgrade"):
        Profile.from_dict(content)
