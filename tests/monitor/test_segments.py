"""Latency and data quality by segment, in bounded memory."""

import json

import pytest

from watchkeeper_monitor import Monitor, Profile
from watchkeeper_monitor.summary import Summary


def answered() -> Monitor:
    monitor = Monitor("bot", "1", vocabulary=["where", "is", "my", "card"])
    for number in range(200):
        web = number % 4 > 0
        monitor.track(
            "card",
            0.9 if web else 0.5,
            0.02 if web else 0.4,
            segment="web" if web else "app",
            text="where is my card" if web else "where kard",
            features={"age": 30, "country": None if not web and number % 8 else "de"},
        )
    return monitor


def test_each_segment_has_its_latency_and_its_data() -> None:
    monitor = answered()
    monitor.track("card", 0.1, 9.0)
    said = monitor.summary()
    web, app = said.segments["web"], said.segments["app"]
    assert (web.predictions, app.predictions) == (150, 50)
    assert web.latency_p95_seconds == pytest.approx(0.02, rel=0.01)
    assert app.latency_p95_seconds == pytest.approx(0.4, rel=0.01)
    assert (web.confidence_mean, app.confidence_mean) == (pytest.approx(0.9), pytest.approx(0.5))
    assert (web.input_length_mean, app.input_length_mean) == (16, 10)
    assert (web.oov_rate, app.oov_rate) == (0, 0.5)
    assert (web.missing_ratio, app.missing_ratio) == (0, 0.25)
    assert "p95 400 ms, confidence 0.5, length 10, unknown words 50.0%, missing 25.0%" in str(said)
    assert Summary.from_dict(json.loads(json.dumps(said.to_dict()))).segments == said.segments


def test_a_batch_is_counted_by_segment_too() -> None:
    monitor = Monitor("bot")
    monitor.track_batch(["a"] * 4, latencies_seconds=[0.1, 0.1, 0.3, None], segments=["x", "x", "y", None])
    said = monitor.summary().segments
    assert said["x"].latency_p50_seconds == pytest.approx(0.1, rel=0.01)
    assert said["y"].latency_p50_seconds == pytest.approx(0.3, rel=0.01)
    assert (said["x"].predictions, said["y"].predictions) == (2, 1)


def test_segments_merge_and_travel_and_older_profiles_have_none() -> None:
    monitor = answered()
    total = Profile("bot", "1")
    for _ in range(2):
        total.merge(Profile.from_dict(json.loads(json.dumps(monitor.profile().to_dict()))))
    assert total.by_segment["app"].latency.count == 100
    old = monitor.profile().to_dict()
    del old["by_segment"]
    assert Profile.from_dict(old).by_segment == {}


def test_ten_thousand_segments_stay_bounded_and_what_is_kept_is_exact_in_any_order() -> None:
    profiles: list[Profile] = []
    for order in (1, -1):
        monitor = Monitor("bot", "1")
        for number in range(3000)[::order]:
            for _ in range(2):
                monitor.track("a", None, 0.1, segment=f"user-{number}")
        profiles.append(monitor.profile())
        assert len(profiles[-1].by_segment) == 100
        assert all(each.latency.count == 2 for each in profiles[-1].by_segment.values())
    assert profiles[0].by_segment.keys() == profiles[1].by_segment.keys()
