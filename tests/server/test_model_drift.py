"""What came lately is compared with a file or with a good period, version by version."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.server.test_models import push
from watchkeeper_monitor import Monitor, Profile, Reference

RNG = np.random.default_rng(7)


def profile(name: str, scale: float, classes: list[str], rows: int = 3000) -> dict[str, Any]:
    """Counted by a monitor: one numeric feature, one of categories, the predicted class."""
    monitor = Monitor(name, "1", server="")
    monitor.track_batch(
        RNG.choice(classes, rows),
        features={"age": RNG.exponential(scale, rows), "country": RNG.choice(["de", "us"], rows)},
    )
    return {"began": time.time(), "profile": monitor.profile().to_dict()}


async def test_a_period_of_production_is_the_reference_and_what_shifts_is_named(operator: httpx.AsyncClient) -> None:
    await push(operator, "drifts", profile("drifts", 200, ["card", "cash"]), 1)
    made = await operator.put("/api/models/drifts/reference", json={"since": "2026-01-01T00:00:00Z"})
    assert made.status_code == 200, made.text
    assert made.json()["version"] == "1"
    still = (await operator.get("/api/models/drifts/drift")).json()
    await push(operator, "drifts", profile("drifts", 20, ["cash", "lost"], 9000), 2)

    drift = (await operator.get("/api/models/drifts/drift")).json()

    assert still["shifted"] == []
    assert sorted(drift["shifted"]) == ["age", "prediction"]
    assert drift["predictions"] == 12_000
    (country,) = [each for each in drift["columns"] if each["name"] == "country"]
    assert country["shift"] == "none"
    assert country["wasserstein"] is None
    assert (await operator.get("/api/models/drifts/reference")).json()["source"].startswith("20")


async def test_the_report_of_all_replicas_draws_what_shifted_over_the_reference(operator: httpx.AsyncClient) -> None:
    await push(operator, "drawn", profile("drawn", 200, ["card", "<b>cash"]), 1)
    bare = await operator.get("/api/models/drawn/report")
    await operator.put("/api/models/drawn/reference", json={"since": "2026-01-01T00:00:00Z"})
    await push(operator, "drawn", profile("drawn", 20, ["<b>cash", "lost"], 9000), 2)

    page = await operator.get("/api/models/drawn/report")

    assert "There is no reference" in bare.text
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "12,000 predictions" in page.text
    assert "Drift: 2 of 3 columns have shifted" in page.text
    assert page.text.count("<svg") == 3
    assert "<b>cash" not in page.text
    assert (await operator.get("/api/models/nobody/report")).status_code == 404


async def test_a_file_is_the_reference_also_one_with_other_columns(operator: httpx.AsyncClient, tmp_path: Path) -> None:
    await push(operator, "by-file", profile("by-file", 200, ["card"]))
    file = tmp_path / "reference.json"
    Reference.from_data({"age": RNG.exponential(200, 30_000), "gone": RNG.normal(size=100)}).save(file)

    made = await operator.put("/api/models/by-file/reference", json=json.loads(file.read_text()))
    drift = (await operator.get("/api/models/by-file/drift")).json()

    assert made.json()["source"] == "file"
    assert len(made.json()["numbers"]["age"]) == 10_000
    assert (drift["shifted"], drift["absent"]) == ([], ["gone"])
    assert sorted(drift["unknown"]) == ["country", "prediction"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"format": 99, "numbers": {"age": [1.0]}},
        {"format": 1},
        {"format": 1, "numbers": {"age": []}},
        {"format": 1, "numbers": {"age": [float("nan")]}},
        {"format": 1, "numbers": {"age": ["old"]}},
        {"format": 1, "numbers": {"age": [1.0]}, "categories": {"age": {"a": 1}}},
        {"format": 1, "categories": {"age": {"a": 10**15}}},
        {"since": "long ago"},
        {"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"},
    ],
)
async def test_no_reference_is_refused_with_the_reason(body: Any, operator: httpx.AsyncClient) -> None:
    await push(operator, "no-reference", profile("no-reference", 1, ["a"], 10))
    headers = {"Content-Type": "application/json"}

    answer = await operator.put("/api/models/no-reference/reference", content=json.dumps(body), headers=headers)

    assert answer.status_code == 422, answer.text
    assert (await operator.get("/api/models/no-reference/drift")).status_code == 404


async def test_a_window_with_nothing_in_it_is_no_drift(operator: httpx.AsyncClient) -> None:
    await push(operator, "empty-window", profile("empty-window", 200, ["card"]))
    await operator.put("/api/models/empty-window/reference", json={"since": "2026-01-01T00:00:00Z"})

    drift = (await operator.get("/api/models/empty-window/drift", params={"since": "2100-01-01T00:00:00Z"})).json()

    assert (drift["predictions"], drift["shifted"]) == (0, [])
    assert sorted(drift["absent"]) == ["age", "country", "prediction"]


async def test_what_changed_hours_ago_says_since_when(operator: httpx.AsyncClient) -> None:
    at = time.time()
    for sequence in range(1, 11):
        began = at - (11 - sequence) * 1200
        body = profile("onset", 200 if sequence <= 6 else 40, ["card", "cash"], 500)
        body["profile"] |= {"began": began, "ended": began + 1}
        await push(operator, "onset", body, sequence)
    good = {"since": "2026-01-01T00:00:00Z", "until": datetime.fromtimestamp(at - 4.5 * 1200, UTC).isoformat()}
    assert (await operator.put("/api/models/onset/reference", json=good)).status_code == 200

    drift = (await operator.get("/api/models/onset/drift")).json()
    summary = (await operator.get("/api/models/onset/summary")).json()

    assert drift["shifted"] == ["age"]
    since = datetime.fromisoformat(drift["columns"][0]["since"]).timestamp()
    assert since == pytest.approx(at - 4 * 1200, abs=600)
    (change,) = summary["quality"]["changes"]
    assert (change["stream"], change["since"]) == ("age", drift["columns"][0]["since"])
    assert [each["name"] for each in summary["quality"]["drift"] if each["shift"] != "none"] == ["age"]


def test_a_hundred_million_rows_take_no_more_memory_than_a_few() -> None:
    """A profile holds counts; they are compared in proportion."""
    small, large = (Profile.from_dict(profile("bot", 200, ["card", "cash"])["profile"]) for _ in range(2))
    total = Profile("bot", "1")
    for _ in range(17):  # doubled as often
        total.merge(large)
        large = Profile.from_dict(total.to_dict())

    drift = Reference.from_profile(small).compare_profile(total)

    assert total.predictions > 100_000_000
    assert drift.shifted == []
    assert max(column.rows for column in drift.columns) < 300_000
