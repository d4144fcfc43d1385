"""Ranked outputs are judged by what was relevant, with intervals that hold."""

import json
import math
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from watchkeeper_monitor import ModelCollector, Monitor, Profile, Reference
from watchkeeper_monitor.capture import Capture, encoded
from watchkeeper_monitor.counts import Counts
from watchkeeper_monitor.figures import mean
from watchkeeper_monitor.folding import Folding
from watchkeeper_monitor.ranking import MEASURES, scores
from watchkeeper_monitor.reference import dated

ITEMS = list("abcdefghijklmnopqrstuvwxyz")
GAINS = st.dictionaries(st.sampled_from(ITEMS), st.sampled_from([0.5, 1.0, 3.0]), min_size=1)
NAN = float("nan")


def judged(ranked: Any, relevant: Any) -> dict[str, float]:
    monitor = Monitor("search")
    monitor.label(monitor.track(ranked), relevant)
    return {name: found.value for name, found in monitor.summary().performance.rankings.items()}


def test_a_ranking_is_judged_by_what_was_relevant_as_a_hand_computes() -> None:
    found = judged(["a", "b", "c", "d"], ["b", "d", "x"])
    best = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert found["ndcg@1"] == 0
    assert (found["hit_rate@1"], found["hit_rate@5"]) == (0, 1)
    assert found["map"] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert found["mrr"] == 0.5


def test_gains_count_as_scikit_learns_ndcg_score_has_it() -> None:
    # sklearn.metrics.ndcg_score([[3, 0, 1, 2]], [[4, 3, 2, 1]]) of scikit-learn 1.9.1
    found = judged(["a", "b", "c", "d"], {"a": 3, "b": 0, "c": 1, "d": 2})
    assert found["ndcg@5"] == pytest.approx(0.9158928585785955)


@settings(max_examples=150, deadline=None)
@given(st.permutations(ITEMS), st.dictionaries(st.sampled_from(ITEMS), st.sampled_from([0.5, 1.0, 3.0]), min_size=1))
def test_every_score_lies_between_0_and_1_and_the_best_ranking_has_1(
    ranked: list[str], gains: dict[str, float]
) -> None:
    found = dict(zip(MEASURES, scores([(tuple(ranked), gains)])[0], strict=True))
    assert all(0 <= each <= 1 + 1e-12 for each in found.values())
    ideal = sorted(gains, key=lambda item: -gains[item])
    best = dict(zip(MEASURES, scores([(tuple(ideal), gains)])[0], strict=True))
    assert all(each == pytest.approx(1) for each in best.values())
    # the definition of average precision, item by item
    precisions = [sum(item in gains for item in ranked[: n + 1]) / (n + 1) for n in range(26) if ranked[n] in gains]
    assert found["map"] == pytest.approx(sum(precisions) / len(gains))


def test_rankings_beside_labels_of_classes_do_not_mix() -> None:
    monitor = Monitor("both")
    monitor.track("card", true_label="card")
    ranking = monitor.track(["a", "b"], confidence=0.5, id="q-1")
    monitor.label("q-1", "a")
    monitor.label(ranking, ["a"])
    monitor.label(ranking, ["b"])
    said = monitor.summary().performance
    assert (said.accuracy.value, said.accuracy.of, said.coverage) == (1, 1, 1)
    assert said.rankings["mrr"].of == 1
    assert (said.labels_repeated, said.labels_conflicting) == (1, 1)
    assert "ndcg@10" in str(monitor.summary())
    assert monitor.summary().quality.rejects == {}


@pytest.mark.parametrize(
    ("ranked", "relevant", "reason"),
    [
        (["a", None, "b"], ["b"], "prediction: an item is missing"),
        (["a", NAN], ["a"], "prediction: an item is missing"),
        (["a", "b", "a"], ["a"], "prediction: an item is ranked twice"),
        (["a"], {"a": -1}, "label: a gain is below 0 or not finite"),
        (["a"], {"a": NAN}, "label: a gain is below 0 or not finite"),
        (["a"], {"a": "much"}, "label: a gain is no number"),
    ],
)
def test_what_is_no_ranking_or_no_relevance_is_told(ranked: Any, relevant: Any, reason: str) -> None:
    monitor = Monitor("search")
    monitor.label(monitor.track(ranked), relevant)
    said = monitor.summary()
    assert said.quality.rejects == {reason: 1}
    assert said.predictions == 1


def test_rankings_of_nothing_hit_nothing_and_labels_of_nothing_are_not_averaged() -> None:
    monitor = Monitor("search")
    monitor.label(monitor.track([]), "a")
    monitor.label(monitor.track(["a"]), [])
    said, counted = monitor.summary().performance, monitor.profile().rankings
    assert (said.rankings["hit_rate@20"].value, said.rankings["hit_rate@20"].of) == (0, 1)
    assert (counted.empty, counted.irrelevant, counted.judged) == (1, 1, 1)


def test_batches_of_rankings_are_judged_too() -> None:
    monitor = Monitor("search")
    monitor.track_batch([["a", "b"], ["c", "b"], ["d", "a"]], true_labels=["b", "c", "x"])
    said = monitor.summary().performance
    assert (said.rankings["mrr"].value, said.rankings["mrr"].of) == (0.5, 3)


def test_a_list_that_is_changed_afterwards_was_another_one() -> None:
    monitor, ranked = Monitor("search"), ["a", "b"]
    handle = monitor.track(ranked)
    ranked.clear()
    monitor.label(handle, "b")
    assert monitor.summary().performance.rankings["mrr"].value == 0.5


def test_numbers_arrays_and_long_rankings_are_taken_and_memory_stays_bounded() -> None:
    monitor = Monitor("search", remember=8)
    first = monitor.track(np.arange(5000))
    monitor.label(first, 99)
    monitor.summary()
    late = monitor.track(tuple(range(5000)))
    monitor.label(late, 100)  # beyond what is kept
    monitor.flush()
    for _ in range(20):
        monitor.track([1, 2])
    monitor.label(first, 7)
    said = monitor.summary().performance
    assert said.rankings["mrr"].value == pytest.approx((1 / 100 + 0) / 2)
    assert said.labels_unknown == 1


def test_rankings_merge_travel_and_are_read_by_prometheus() -> None:
    monitor = Monitor("search", "1")
    for place in range(10):
        monitor.label(monitor.track(ITEMS), ITEMS[place])
    profile = Profile("search", "1")
    for _ in range(2):
        profile.merge(Profile.from_dict(json.loads(json.dumps(monitor.profile().to_dict()))))
    assert profile.rankings.means()["hit_rate@5"].value == 0.5
    assert profile.rankings.means()["hit_rate@5"].of == 20
    old = monitor.profile().to_dict()
    del old["rankings"]
    assert Profile.from_dict(old).rankings.judged == 0
    registry = CollectorRegistry()
    registry.register(ModelCollector(monitor))
    assert 'measure="hit_rate@5",model="search",version="1"} 0.5' in generate_latest(registry).decode()


@pytest.mark.parametrize("kind", ["mrr", "ndcg", "hits"])
def test_the_interval_holds_the_true_mean_as_often_as_it_says(kind: str) -> None:
    random = np.random.default_rng(3)
    held = {}
    for number in (10, 30, 300):
        if kind == "mrr":
            found, true = 1 / random.integers(1, 11, (2000, number)), float((1 / np.arange(1, 11)).mean())
        elif kind == "ndcg":
            found, true = random.beta(4, 1.5, (2000, number)), 4 / 5.5
        else:
            found, true = (random.random((2000, number)) < 0.9).astype(float), 0.9
        made = [mean(float(row.sum()), float((row * row).sum()), number) for row in found]
        held[number] = sum(each.low <= true <= each.high for each in made) / len(made)
    assert all(share >= 0.93 for share in held.values()), held
    assert mean(3.0, 3.0, 3).low < 0.8  # three hits of three are not certain


def test_a_server_that_knows_no_rankings_still_takes_records_of_classes() -> None:
    capture = Capture("p", "1", 1.0, False)
    for prediction, sent in (("card", False), (["a", "b"], True)):
        capture.rows([(0, prediction, None, None, None, None)], 1.7e9, Counts())
        ((kind, rows),) = capture.cut()
        form, body = encoded(rows)
        columns = pa.ipc.open_stream(body).schema.names if form == "arrow" else list(json.loads(body)[0])
        assert (kind, "ranking" in columns) == ("records", sent)


def test_a_label_that_names_very_many_items_is_told_and_does_not_wait() -> None:
    monitor = Monitor("search", server="")
    shown = monitor.track(["a"])
    monitor.label(shown, [str(n) for n in range(1001)])
    said = monitor.summary()
    assert said.quality.rejects == {"label: more than 1000 items are relevant": 1}
    assert said.performance.coverage == 0


def test_what_is_ranked_first_drifts_from_training_data_and_says_since_when() -> None:
    """Lists in training data, rankings in production."""
    at = [1.7e9]
    reference = Reference.from_data({"prediction": [["umbrella" if n % 3 else "coat", "hat"] for n in range(900)]})
    monitor = Folding("shop", "1", clock=lambda: at[0])
    for n in range(3000):
        at[0] += 1
        first = ("umbrella" if n % 3 else "coat") if n < 2000 else "sunglasses"
        monitor.rows([[n], [[first, "hat"]], [None], [None], [None], [None]])
        if n == 1999:
            monitor.settle()
            assert reference.compare_profile(monitor.profile()).shifted == []
            fell = at[0]
    monitor.settle()
    drift = dated(reference.compare_profile(monitor.profile()), reference, monitor.streams)
    assert drift.shifted == ["prediction"]
    assert drift.columns[0].unseen == pytest.approx(1 / 3)
    assert drift.columns[0].since is not None
    assert abs(datetime.fromisoformat(drift.columns[0].since).timestamp() - fell) <= 200
