"""A monitor counts what it is told, and never raises into the one who tells."""

import json
import math
import threading
from typing import Any

import pytest

from watchkeeper_monitor import Monitor, MonitorMiddleware

NAN = float("nan")


@pytest.fixture
def monitor() -> Monitor:
    return Monitor("support-bot", version="1.4.0")


def test_everything_that_was_tracked_is_in_the_summary(monitor: Monitor) -> None:
    for number in range(2500):
        handle = monitor.track(
            "card" if number % 2 else "cash",
            confidence=0.9,
            latency_seconds=0.030,
            input_length=31,
            escalated=number % 5 == 0,
            cost=0.5,
            segment="eu" if number % 2 else "us",
        )
        if number % 10 == 0:
            monitor.label(handle, "cash" if number % 20 else "card")
    monitor.error(TimeoutError())
    monitor.error("refused")
    monitor.satisfaction(4)
    monitor.count("refund", 3)
    said = monitor.summary()
    assert (said.model, said.version, said.predictions) == ("support-bot", "1.4.0", 2500)
    assert said.classes == {"card": 1250, "cash": 1250}
    assert said.performance.accuracy.value == 0.5
    assert said.performance.coverage == pytest.approx(0.1)
    assert said.performance.accuracy.low < 0.5 < said.performance.accuracy.high
    assert said.performance.segments["us"].of == 250
    assert said.system.latency_p99_seconds == pytest.approx(0.030, rel=0.01)
    assert said.system.errors == {"TimeoutError": 1, "refused": 1}
    assert said.system.memory_bytes > 1e6
    assert said.quality.input_length_p50 == pytest.approx(31, rel=0.01)
    assert said.business.escalation_rate.value == pytest.approx(0.2)
    assert said.business.cost_total == pytest.approx(1250)
    assert said.business.satisfaction_mean == 4
    assert said.business.counters == {"refund": 3}
    assert "accuracy, latest" in str(said)
    assert json.loads(json.dumps(said.to_dict(), allow_nan=False))["predictions"] == 2500


def test_an_empty_monitor_says_that_it_knows_nothing(monitor: Monitor) -> None:
    said = monitor.summary()
    assert said.predictions == 0
    assert math.isnan(said.performance.accuracy.value)
    assert "not known: no labels yet" in str(said)
    assert said.to_dict()["performance"]["accuracy"]["value"] is None


class Rude:
    """A value whose own methods raise."""

    def __hash__(self) -> int:
        raise RuntimeError("no")

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __bool__(self) -> bool:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"confidence": NAN}, "confidence: not finite"),
        ({"confidence": 1.5}, "confidence: outside 0..1"),
        ({"confidence": -0.1}, "confidence: outside 0..1"),
        ({"confidence": "high"}, "confidence: not a number"),
        ({"latency_seconds": -1.0}, "latency_seconds: below 0"),
        ({"latency_seconds": math.inf}, "latency_seconds: not finite"),
        ({"input_length": object()}, "input_length: not a number"),
        ({"cost": NAN}, "cost: not finite"),
        ({"prediction": None}, "prediction: missing"),
        ({"prediction": NAN}, "prediction: not finite"),
        ({"prediction": {"a": "mapping"}}, "prediction: neither a class nor a number"),
        ({"prediction": Rude()}, "row: RuntimeError"),
        ({"confidence": Rude()}, "confidence: RuntimeError"),
        ({"features": 7}, "features: AttributeError"),
        ({"features": {"age": Rude(), "country": "de"}}, "feature age: RuntimeError"),
        ({"text": Rude()}, "text: RuntimeError"),
        ({"segment": Rude()}, "segment: RuntimeError"),
        ({"escalated": Rude()}, "escalated: RuntimeError"),
        ({"cost": Rude()}, "cost: RuntimeError"),
        ({"true_label": Rude()}, "label: RuntimeError"),
        ({"id": Rude()}, "id: RuntimeError"),
        ({"prediction": ["a", Rude()]}, "prediction: an item is no name (RuntimeError)"),
    ],
)
def test_what_cannot_be_counted_is_told_and_costs_nobody_else(
    monitor: Monitor, given: dict[str, Any], reason: str
) -> None:
    monitor.track("card", confidence=0.9)
    monitor.track(**({"prediction": "card"} | given))
    monitor.track("card", confidence=0.9)
    said = monitor.summary()
    assert said.quality.rejects == {reason: 1}
    assert said.predictions == (2 if reason.startswith("row") else 3)
    assert said.classes["card"] >= 2
    assert monitor.profile().confidence.count >= 2
    assert f"rejected: {reason}" in str(said)


def test_what_else_a_row_said_still_counts_and_only_once(monitor: Monitor) -> None:
    for _ in range(5):
        monitor.track(
            "card",
            0.9,
            0.1,
            segment="web",
            escalated=True,
            cost=1.0,
            features={"age": 3, "bad": Rude()},
            true_label="card",
        )
    said, profile = monitor.summary(), monitor.profile()
    assert (said.predictions, said.segments["web"].predictions, profile.escalated, profile.cost.count) == (5, 5, 5, 5)
    assert (profile.truth.labelled, profile.numbers["age"].count, profile.latency.count) == (5, 5, 5)
    assert said.quality.rejects == {"feature bad: RuntimeError": 5}


@pytest.mark.parametrize("column", ["predictions", "segments", "true_labels", "age"])
def test_a_value_that_raises_in_a_batch_costs_only_itself(monitor: Monitor, column: str) -> None:
    given: dict[str, list[Any]] = {
        "predictions": ["card", "cash", "card"],
        "segments": ["web", None, "app"],
        "true_labels": ["card", "card", "card"],
        "age": [1, 2, 3],
    }
    given[column][1] = Rude()
    age = given.pop("age")
    monitor.track_batch(given.pop("predictions"), features={"age": age}, **given)
    said, profile = monitor.summary(), monitor.profile()
    assert (said.predictions, sum(said.classes.values())) == ((2, 2) if column == "predictions" else (3, 3))
    assert list(said.segments) == ["app", "web"]
    assert profile.numbers["age"].count == (3 if column in ("segments", "true_labels") else 2)
    assert profile.truth.correct == 2
    assert sum(said.quality.rejects.values()) + sum(said.quality.invalid.values()) >= 1


def test_a_class_that_was_not_declared_is_rejected_as_prediction_and_as_label() -> None:
    monitor = Monitor("bot", classes=["card", "cash"])
    handle = monitor.track("card")
    monitor.track("gold")
    monitor.label(handle, "silver")
    said = monitor.summary()
    assert said.classes == {"card": 1}
    assert said.quality.rejects == {"prediction: unknown class": 1, "label: unknown class": 1}


def test_labels_come_by_handle_or_id_before_or_after_and_count_once(monitor: Monitor) -> None:
    monitor.label("early", "card")
    monitor.track("card", id="early")
    monitor.track("cash", id="late")
    monitor.label("late", "card")
    handle = monitor.track("card")
    monitor.label(handle, "card")
    monitor.label(handle, "card")
    monitor.label(handle, "cash")
    monitor.label(987654, "card")
    monitor.label("never", "card")
    said = monitor.summary().performance
    assert (said.accuracy.value, said.accuracy.of) == (pytest.approx(2 / 3), 3)
    assert (said.labels_repeated, said.labels_conflicting) == (1, 1)
    assert (said.labels_unknown, said.labels_waiting) == (1, 1)


def test_a_label_for_what_is_no_longer_remembered_is_unknown() -> None:
    monitor = Monitor("bot", remember=4)
    first = monitor.track("card")
    for _ in range(4):
        monitor.track("card")
    monitor.label(first, "card")
    assert monitor.summary().performance.labels_unknown == 1


def test_the_rolling_figures_are_of_the_last_labelled() -> None:
    monitor = Monitor("bot", window=10)
    for _ in range(50):
        monitor.track("card", true_label="cash")
    for _ in range(10):
        monitor.track("card", true_label="card")
    said = monitor.summary().performance
    assert said.accuracy.value == 1
    assert said.accuracy_total.value == pytest.approx(10 / 60)
    assert said.accuracy_7d.value == pytest.approx(10 / 60)


def test_the_f1_of_each_class_is_what_a_hand_computes() -> None:
    monitor = Monitor("bot")
    for said, true in [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("c", "a")]:
        monitor.track(said, true_label=true)
    performance = monitor.summary().performance
    assert [(each.name, each.precision, each.recall) for each in performance.classes] == [
        ("a", pytest.approx(2 / 3), pytest.approx(2 / 3)),
        ("b", 1, 0.5),
        ("c", 0, 0),
    ]
    assert performance.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert performance.weighted_f1 == pytest.approx((2 / 3 * 3 + 2 / 3 * 2) / 5)
    assert {(each.true, each.predicted) for each in performance.confusions} == {("b", "a"), ("a", "c")}


def test_confidence_that_promises_too_much_shows_as_calibration_error() -> None:
    monitor = Monitor("bot")
    for number in range(100):
        monitor.track("a", confidence=0.95, true_label="a" if number < 70 else "b")
    said = monitor.summary().performance
    assert said.calibration_error == pytest.approx(0.25)
    assert said.brier_score == pytest.approx(0.7 * 0.05**2 + 0.3 * 0.95**2)


def test_predicted_numbers_are_judged_by_their_distance() -> None:
    monitor = Monitor("price")
    for said, true in [(1.0, 2.0), (5.0, 2.0), (-1.0, -1.0)]:
        monitor.track(said, true_label=true)
    performance = monitor.summary().performance
    assert performance.mean_absolute_error == pytest.approx(4 / 3)
    assert performance.root_mean_squared_error == pytest.approx(math.sqrt(10 / 3))
    assert performance.bias == pytest.approx(2 / 3)


def test_a_million_classes_stay_bounded_and_the_rest_is_told() -> None:
    monitor = Monitor("bot")
    for number in range(30_000):
        monitor.track(f"class-{number}")
    said = monitor.summary()
    profile = monitor.profile()
    assert len(profile.classes.kept) == 1000
    assert profile.classes.total == 30_000
    assert profile.classes.distinct == pytest.approx(30_000, rel=0.15)
    assert said.quality.folded == {"classes": 29_000}


def test_ten_megabytes_of_text_are_measured_and_not_kept() -> None:
    monitor = Monitor("bot", vocabulary=["where", "is", "my", "card"])
    monitor.track("card", text="Where is my kard " * 600_000)
    monitor.track("card", text="my card")
    said = monitor.summary()
    assert said.quality.input_length_mean == pytest.approx((600_000 * 17 + 7) / 2)
    assert 0.2 < said.quality.oov_rate < 0.3
    assert "kard" not in json.dumps(monitor.profile().to_dict())


def test_features_are_numbers_or_categories_and_lacks_are_told() -> None:
    monitor = Monitor("bot")
    for number in range(10):
        monitor.track("a", features={"age": None if number == 3 else number, "country": "de", "debt": -number})
    monitor.track("a", features={"age": NAN, "country": None, "debt": -1e9})
    said = monitor.summary().quality
    assert said.missing["age"].value == pytest.approx(1 / 11)
    assert said.missing["country"].value == pytest.approx(1 / 11)
    assert said.invalid == {"age": 1}
    assert monitor.profile().numbers["debt"].minimum == -1e9


def test_features_beyond_the_bound_are_counted_as_rejected() -> None:
    monitor = Monitor("bot")
    monitor.track("a", features={f"f{number}": 1.0 for number in range(250)})
    assert monitor.summary().quality.rejects == {"features beyond the first 200": 50}


def test_threads_lose_nothing() -> None:
    monitor = Monitor("bot")

    def work() -> None:
        for number in range(20_000):
            handle = monitor.track("a", confidence=0.5)
            if number % 100 == 0:
                monitor.label(handle, "a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = monitor.summary()
    assert said.predictions == 80_000
    assert said.performance.accuracy_total.of + said.performance.labels_unknown == 800
    assert said.quality.dropped == 0


def test_a_block_and_functions_are_timed_and_their_errors_counted_and_raised(monitor: Monitor) -> None:
    with monitor.timed() as timer:
        pass
    assert timer.seconds > 0

    @monitor.tracked(lambda answer: answer["class"], confidence=lambda answer: answer["score"])
    def predict(text: str) -> dict[str, Any]:
        if not text:
            raise KeyError(text)
        return {"class": "card", "score": 0.75} if text != "odd" else {}

    assert predict("where is my card")["class"] == "card"
    assert predict("odd") == {}
    with pytest.raises(KeyError):
        predict("")
    said = monitor.summary()
    assert said.classes == {"card": 1}
    assert said.system.latency_count == 2
    assert said.system.errors == {"KeyError": 1}
    assert said.business.counters == {"not tracked: KeyError": 1}


async def test_an_async_function_is_tracked_when_it_is_done(monitor: Monitor) -> None:
    @monitor.tracked()
    async def predict() -> str:
        return "card"

    assert await predict() == "card"
    assert monitor.summary().classes == {"card": 1}


async def test_the_middleware_times_requests_and_counts_what_failed(monitor: Monitor) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/predict/crash":
            raise ValueError("bad text")
        await send({"type": "http.response.start", "status": 503 if scope["path"] == "/predict/busy" else 200})

    async def nothing(message: Any = None) -> Any:
        return {}

    wrapped = MonitorMiddleware(app, monitor=monitor, path="/predict")
    for path in ("/predict", "/predict/busy", "/health"):
        await wrapped({"type": "http", "path": path}, nothing, nothing)
    with pytest.raises(ValueError, match="bad text"):
        await wrapped({"type": "http", "path": "/predict/crash"}, nothing, nothing)
    said = monitor.summary().system
    assert said.latency_count == 1
    assert said.errors == {"HTTP 503": 1, "ValueError": 1}


def test_options_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match="window counts predictions: at least 1, not 0"):
        Monitor("bot", window=0)
