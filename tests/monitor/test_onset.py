"""Since when something is as it is: found in streams, in bounded memory, and seldom where nothing happened."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.monitor_onset import STREAMS, found

from watchkeeper_monitor import Monitor, Profile, Reference
from watchkeeper_monitor.changes import change_points
from watchkeeper_monitor.folding import Folding
from watchkeeper_monitor.onset import WINDOWS, Streams
from watchkeeper_monitor.reference import dated
from watchkeeper_monitor.summary import drift_of

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "monitor-onset.json"
BEGAN = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> float:
        return self.now


def at(said: str | None) -> float:
    """Seconds after the beginning."""
    assert said is not None
    return datetime.fromisoformat(said).timestamp() - BEGAN


def served(seconds: int, shift: int, **late: Any) -> Folding:
    """Twenty predictions a second; from `shift` on as `late` says."""
    clock = Clock()
    folding = Folding("bot", "1", clock=clock)
    random = np.random.default_rng(5)
    handle = 0
    for second in range(seconds):
        clock.now = BEGAN + second
        said = late if second >= shift else {}
        rows: list[Any] = []
        for _ in range(20):
            label = "card" if random.random() < said.get("accuracy", 0.9) else "cash"
            features = {
                "age": random.normal(said.get("age", 40), 10),
                "country": random.choice(said.get("countries", ["de", "us"])),
            }
            extra = (None, None, None, label, None, features, None)
            confidence = random.beta(*said.get("beta", (8, 2)))
            rows.append((handle, "card", confidence, random.exponential(said.get("latency", 0.1)), 30, extra))
            handle += 1
        folding.rows(list(zip(*rows, strict=True)))
        if random.random() < said.get("errors", 0.1):
            folding.event("error", "TimeoutError", None)
    folding.settle()
    return folding


@pytest.mark.parametrize(
    ("late", "stream"),
    [
        ({"beta": (5, 3)}, "confidence"),
        ({"accuracy": 0.7}, "accuracy"),
        ({"latency": 0.3}, "latency_seconds"),
        ({"errors": 1.0, "never": 0}, "error_rate"),
        ({"age": 50}, "age"),
        ({"countries": ["de", "us", "fr"]}, "country"),
    ],
)
def test_what_changed_is_named_with_its_time_and_nothing_else_is(late: dict[str, Any], stream: str) -> None:
    changes = served(240, 150, **late).streams.changes()
    assert [each.stream for each in changes] == [stream]
    assert at(changes[0].since) == pytest.approx(150, abs=10)
    assert at(changes[0].since) < at(changes[0].until) <= at(changes[0].since) + 10


@pytest.mark.parametrize("late", [0.01, 0.15])
def test_words_that_are_no_longer_known_are_told_with_their_time(late: float) -> None:
    clock = Clock()
    folding = Folding("bot", "1", clock=clock, vocabulary=frozenset({"card"}))
    random = np.random.default_rng(6)
    for second in range(240):
        clock.now = BEGAN + second
        share = late if second >= 150 else 0.01
        texts = [" ".join(np.where(random.random(12) < share, "kard", "card")) for _ in range(20)]
        extras = [(None, None, text, None, None, None, None) for text in texts]
        handles = list(range(second * 20, second * 20 + 20))
        folding.rows([handles, ["a"] * 20, [None] * 20, [None] * 20, [None] * 20, extras])
    folding.settle()
    found = folding.streams.changes()
    assert [each.stream for each in found] == (["oov_rate"] if late > 0.01 else [])
    for each in found:
        assert at(each.since) == pytest.approx(150, abs=10)
        assert (each.before, each.after) == (pytest.approx(0.01, abs=0.01), pytest.approx(0.15, abs=0.02))


@pytest.mark.parametrize("source", ["training data", "production", "file"])
def test_words_that_are_unknown_are_compared_with_the_reference_as_other_inputs_are(
    source: str, tmp_path: Path
) -> None:
    words = ["card", "cash", "lost"]
    usual = [" ".join(words * 6 + ["paypal"]) for _ in range(300)]
    monitor = Monitor("bot", vocabulary=words)
    for text in usual:
        monitor.track("a", text=text)
    if source == "production":
        reference = Reference.from_profile(monitor.profile())
    else:
        reference = Reference.from_data({"text": usual}, vocabulary=["Card", "CASH", "lost"])
    if source == "file":
        reference.save(tmp_path / "usual.json")
        reference = Reference.load(tmp_path / "usual.json")
    assert monitor.drift(reference).shifted == []
    clock = Clock()
    folding = Folding("bot", "1", clock=clock, vocabulary=frozenset(words))
    for n in range(1500):
        clock.now += 1
        text = usual[0] if n < 600 else "card cash lost venmo zelle"
        folding.rows([[n], ["a"], [None], [None], [None], [(None, None, text, None, None, None, None)]])
    folding.settle()

    drift = dated(reference.compare_profile(folding.profile()), reference, folding.streams)

    (found,) = [each for each in drift.columns if each.name == "oov_rate"]
    assert found.shift == "moderate"
    assert abs(at(found.since) - 600) <= 200


def test_what_goes_on_as_before_has_no_change() -> None:
    assert served(300, 300).streams.changes() == []


def test_the_latest_of_several_changes_is_told() -> None:
    counts = np.concatenate(
        [np.random.default_rng(1).multinomial(100, p, 30) for p in ([0.5, 0.5], [0.9, 0.1], [0.2, 0.8])]
    )
    assert change_points(counts) == [30, 60]


def test_a_column_that_drifted_says_since_when_also_over_several_steps() -> None:
    random = np.random.default_rng(3)
    reference = Reference.from_data({"confidence": random.beta(8, 2, 5000), "age": random.normal(40, 10, 5000)})
    folding = served(240, 100, beta=(4, 4))
    found = drift_of(folding, reference)
    assert found.shifted == ["confidence"]
    assert at(found.columns[0].since) == pytest.approx(100, abs=10)
    assert f"since {found.columns[0].since}" in str(found)


def test_confidence_latency_and_length_are_compared_with_the_reference() -> None:
    random = np.random.default_rng(4)
    usual = {
        "confidence": random.beta(8, 2, 5000),
        "latency_seconds": random.exponential(0.1, 5000),
        "input_length": random.poisson(30, 5000),
        "prediction": random.normal(size=5000),
    }
    monitor = Monitor("price", reference=Reference.from_data(usual))
    monitor.track_batch(
        random.normal(size=3000),
        confidences=random.beta(4, 4, 3000),
        latencies_seconds=random.exponential(0.1, 3000),
        input_lengths=random.poisson(60, 3000),
    )
    said = monitor.summary().quality.drift
    assert {each.name for each in said if each.shift != "none"} == {"confidence", "input_length"}
    assert {each.name for each in said} == set(usual)
    assert "drifted: confidence" in str(monitor.summary())
    assert monitor.drift().shifted == monitor.drift(Reference.from_data(usual)).shifted


def test_windows_are_bounded_and_an_old_change_is_still_known() -> None:
    streams = Streams(rows=1)
    random = np.random.default_rng(6)
    for number in range(3000):
        profile = Profile("bot", "1")
        profile.seen(BEGAN + number)
        profile.predictions = 100
        profile.confidence.record_all(random.beta(8 if number < 1000 else 3, 2, 100))
        streams.take(profile)
    assert len(streams.windows) <= WINDOWS
    (change,) = streams.changes()
    assert at(change.since) == pytest.approx(1000, abs=100)  # of what is old, less exactly


def test_a_column_that_is_of_numbers_here_and_of_names_there_breaks_nothing() -> None:
    streams = Streams(rows=1)
    for value in (1.0, "one", 1.0):
        monitor = Monitor("bot")
        for _ in range(120):
            monitor.track("a", features={"age": value})
        streams.take(monitor.profile())
    assert streams.changes() == []


def test_changes_are_found_where_rivers_adwin_finds_them() -> None:
    """The streams are made again by their seeds; what ADWIN found in them is kept in benchmarks/results."""
    theirs = json.loads(RESULTS.read_text())["streams"]
    assert len(theirs) == len(STREAMS)
    for stream, kept in zip(STREAMS, theirs, strict=True):
        ours = found(stream.values())
        if stream.change is None:
            assert ours is None
            continue
        assert ours is not None, stream.name
        theirs_off = 200 if kept["adwin"] is None else abs(kept["adwin"] - stream.change)  # it sees means alone
        assert abs(ours - stream.change) <= theirs_off, stream.name
