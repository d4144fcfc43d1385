"""Records and labels: kept as Parquet, joined in whatever order they come, exact to the last one."""

import asyncio
import io
import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.server.test_models import PATIENT
from watchkeeper.server import Runtime

ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}


def stream(table: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


async def send(client: httpx.AsyncClient, name: str, kind: str, rows: Any, **headers: str) -> httpx.Response:
    if isinstance(rows, list):
        return await client.post(f"/api/models/{name}/{kind}", json=rows, headers=headers)
    return await client.post(f"/api/models/{name}/{kind}", content=stream(rows), headers=ARROW | headers)


def numbered(name: str, sequence: int) -> dict[str, str]:
    process = blake2b(name.encode(), digest_size=16).hexdigest()
    return {"Watchkeeper-Process": process, "Watchkeeper-Sequence": str(sequence)}


async def summary_of(client: httpx.AsyncClient, name: str, **query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/models/{name}/summary", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def records(number: int, **more: Any) -> list[dict[str, Any]]:
    """Half of them of the segment eu; two of three predict `card`."""
    return [
        {
            "id": f"r{n}",
            "prediction": "cash" if n % 3 == 2 else "card",
            "confidence": 0.9 if n % 2 else 0.6,
            "segment": "eu" if n % 2 else "us",
            "version": "1",
            **more,
        }
        for n in range(number)
    ]


async def test_accuracy_that_fell_is_told_with_the_time_of_the_predictions_not_of_their_labels(
    operator: httpx.AsyncClient,
) -> None:
    began = datetime.now(UTC) - timedelta(hours=3)
    fell = began + timedelta(seconds=10 * 600)
    rows = [
        {"id": f"f{n}", "prediction": "card", "version": "1", "at": (began + timedelta(seconds=10 * n)).isoformat()}
        for n in range(1000)
    ]
    chance = random.Random(4)
    labels = [
        {"id": f"f{n}", "label": "card" if chance.random() < (0.9 if n < 600 else 0.6) else "cash"} for n in range(1000)
    ]
    chance.shuffle(labels)  # all of them come now, in whatever order
    await send(operator, "fell", "records", rows)
    await send(operator, "fell", "labels", labels)
    said = await summary_of(operator, "fell")
    (change,) = [each for each in said["quality"]["changes"] if each["stream"] == "accuracy"]
    assert abs(datetime.fromisoformat(change["since"]) - fell) <= timedelta(seconds=1000)
    assert change["before"] == pytest.approx(0.9, abs=0.05)
    assert change["after"] == pytest.approx(0.6, abs=0.08)
    assert change["since"] < change["until"], "it is known to a piece of time, and says so"
    assert said["over"]["replicas"] == 0, "who sends records and labels is no replica"


async def test_labels_in_any_order_give_the_same_accuracy(operator: httpx.AsyncClient) -> None:
    """Before their records, after them, days later by their own time, twice, in conflict: the latest counts."""
    began = datetime.now(UTC) - timedelta(hours=2)
    labels = [
        {"id": f"r{n}", "label": "card", "at": (began + timedelta(seconds=n)).isoformat()} for n in range(0, 30, 2)
    ]
    labels += [dict(labels[3]), dict(labels[4])]  # twice
    labels += [
        {"id": "r2", "label": "cash", "at": datetime.now(UTC).isoformat()},  # corrected: now it is right
        {"id": "r0", "label": "cash", "at": (began - timedelta(days=3)).isoformat()},  # older: it does not count
        {"id": "nobody", "label": "card", "at": began.isoformat()},
    ]
    found: list[Any] = []
    for number, name in enumerate(("order-a", "order-b", "order-c")):
        shuffled = random.Random(number).sample(labels, len(labels))
        steps = [("labels", shuffled[:7]), ("records", records(30)), ("labels", shuffled[7:])]
        for kind, rows in steps if number else reversed(steps):
            assert (await send(operator, name, kind, rows)).status_code == 200
        said = await summary_of(operator, name)
        found.append((said["performance"], said["over"]["labels"], said["over"]["labels_from"]))

    performance, told, source = found[0]
    assert found[1:] == [found[0], found[0]]
    assert source == "records"
    assert told == {
        "records": 30,
        "labelled": 15,
        "waiting": 1,
        "repeated": 2,
        "conflicting": 2,
        "truncated": False,
    }
    # 0, 2, …, 28 are labelled: every third of them predicted cash (2, 8, 14, 20, 26); of those only r2's label agrees
    assert performance["accuracy"]["value"] == pytest.approx(11 / 15)
    assert performance["accuracy"]["of"] == performance["accuracy_7d"]["of"] == 15
    assert performance["accuracy"]["low"] < 11 / 15 < performance["accuracy"]["high"]
    assert performance["coverage"] == 0.5
    assert performance["segments"] == {"us": performance["accuracy_total"]}
    assert {(each["true"], each["predicted"], each["times"]) for each in performance["confusions"]} == {
        ("card", "cash", 4)
    }


@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 2.0])
async def test_rows_of_a_clock_that_is_wrong_are_set_right(ahead: float, operator: httpx.AsyncClient) -> None:
    """An hour ahead they would be of the future, and of nobody's summary; below ten seconds nothing is changed."""
    at = time.time() - 60
    name, said = f"clock-{ahead:.0f}", {"Watchkeeper-Sent-At": f"{time.time() + ahead}"}
    await send(operator, name, "records", [{"id": "a", "prediction": "card", "at": at + ahead}, {"id": "b"}], **said)
    await send(operator, name, "labels", [{"id": "a", "label": "card", "at": at + ahead}], **said)

    page = (await operator.get(f"/api/models/{name}/records")).json()["items"]

    times = {each["id"]: datetime.fromisoformat(each["at"]).timestamp() for each in page}
    assert times["a"] == pytest.approx(at if abs(ahead) > 10 else at + ahead, abs=5)
    assert times["b"] == pytest.approx(at + 60, abs=30)  # it said none: when it came
    assert (await summary_of(operator, name))["performance"]["accuracy"]["of"] == 1


async def test_arrow_and_json_are_the_same_and_parquet_holds_them(
    operator: httpx.AsyncClient, runtime: Runtime
) -> None:
    rows = records(10)
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    table = table.append_column("at", pa.array([datetime(2026, 11, 20, 12, n, tzinfo=UTC) for n in range(10)]))

    assert (await send(operator, "as-arrow", "records", table)).json() == {"taken": True, "rows": 10, "rejected": {}}
    assert (await send(operator, "as-arrow", "labels", pa.table({"id": ["r1"], "label": ["card"]}))).status_code == 200

    (path,) = (runtime.settings.data / "predictions" / "as-arrow" / "records" / "day=2026-11-20").glob("*.parquet")
    assert pq.read_table(path, partitioning=None).select(["id", "prediction"]).to_pylist() == [
        {"id": row["id"], "prediction": row["prediction"]} for row in rows
    ]
    kept = runtime.settings.data / "predictions" / "as-arrow"
    read, truth = (pl.scan_parquet(kept / kind / "*/*.parquet") for kind in ("records", "labels"))
    right = read.join(truth, on="id").filter(pl.col("label") == pl.col("prediction")).collect()
    assert right["id"].to_list() == ["r1"]
    holds = (await operator.get("/api/models/as-arrow")).json()["holds"]
    assert holds["first_day"] == "2026-11-20"
    assert holds["files"] == 2


async def test_pages_give_each_record_once_newest_first(operator: httpx.AsyncClient) -> None:
    rows = [row | {"at": time.time() - 60 + int(row["id"][1:]) // 2} for row in records(25)]
    await send(operator, "paged", "records", rows)
    await send(operator, "paged", "labels", [{"id": "r7", "label": "cash"}])
    seen: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = (await operator.get("/api/models/paged/records", params={"limit": 7, **after})).json()
        seen += page["items"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert sorted(each["id"] for each in seen) == sorted(row["id"] for row in rows)
    assert [each["at"] for each in seen] == sorted((each["at"] for each in seen), reverse=True)
    assert {each["label"] for each in seen} == {None, "cash"}
    only = (await operator.get("/api/models/paged/records", params={"segment": "eu", "limit": 1000})).json()["items"]
    assert len(only) == 12
    for wrong in ("nonsense", "WzEsMl0", "WyJhIiwgImIiXQ"):
        assert (await operator.get("/api/models/paged/records", params={"after": wrong})).status_code == 422


async def test_a_segments_figures_are_counted_from_its_records(operator: httpx.AsyncClient) -> None:
    await send(operator, "segments", "records", records(20, latency_seconds=0.02, escalated=True, cost=0.5))
    await send(operator, "segments", "labels", [{"id": f"r{n}", "label": "card"} for n in range(20)])

    said = await summary_of(operator, "segments", segment="eu")

    assert said["predictions"] == 10
    assert said["performance"]["coverage"] == 1
    assert said["performance"]["confidence_mean"] == pytest.approx(0.9)
    assert said["system"]["latency_p50_seconds"] == pytest.approx(0.02, rel=0.01)
    assert said["business"]["escalation_rate"]["value"] == 1
    assert said["business"]["cost_total"] == 5
    assert (await operator.get("/api/models/nobody/summary", params={"segment": "eu"})).status_code == 404


async def test_numbers_are_measured_by_their_labels(operator: httpx.AsyncClient) -> None:
    await send(operator, "prices", "records", [{"id": f"p{n}", "value": 100.0 + n} for n in range(4)])
    await send(operator, "prices", "labels", [{"id": f"p{n}", "label": 100} for n in range(4)])

    said = (await summary_of(operator, "prices"))["performance"]

    assert said["mean_absolute_error"] == pytest.approx(1.5)
    assert said["bias"] == pytest.approx(1.5)


async def test_a_push_of_rows_that_comes_again_counts_once(operator: httpx.AsyncClient) -> None:
    """With its number, and without one by what it holds."""
    for _ in range(2):
        await send(operator, "rows-again", "records", records(5))
    answers = [
        (await send(operator, "rows-again", "records", records(8), **numbered("rows-again", sequence))).json()["taken"]
        for sequence in (1, 1, 2)
    ]

    assert answers == [True, False, True]
    assert (await summary_of(operator, "rows-again"))["over"]["labels"]["records"] == 8


@pytest.mark.parametrize(
    "body",
    [
        b"no arrow",
        stream(pa.table({"id": ["a"]}))[:100],
        b"\xff" * 1000,
        b"",
        stream(pa.table({"id": ["a"], "other": [1]})),
        stream(pa.table({"prediction": ["a"]})),
        stream(pa.table({"id": [["a"]]})),
        stream(pa.table({"id": pa.array(["a"]).dictionary_encode()})),
        stream(pa.table({"id": ["a"], "confidence": ["much"]})),
        stream(pa.table({"id": ["a"] * 200_001})),
        stream(pa.table({"id": [None]})),
        stream(pa.table({"id": ["a"], "confidence": [float("nan")]})),
        stream(pa.table({"id": ["a"], "value": [float("inf")]})),
        stream(pa.table({"id": ["a"], "at": [1e300]})),
        stream(pa.table({"id": ["a" * 1000]}), compression="zstd"),
    ],
)
async def test_nonsense_in_arrow_is_refused_with_the_reason(body: bytes, operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/api/models/bad-arrow/records", content=body, headers=ARROW)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await operator.get("/api/models/bad-arrow")).status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "{}",
        "[" * 100_000,
        '[{"id": "a", "other": 1}]',
        '[{"id": "a", "confidence": NaN}]',
        '[{"id": "a", "confidence": 7}]',
        '[{"id": "a", "at": "yesterday"}]',
        '[{"id": "a", "input_length": 1e30}]',
        '[{"id": ["a"], "escalated": "perhaps"}]',
        '[{"prediction": "a"}]',
        json.dumps([{"id": "x" * 10_000_000}]),
    ],
    ids=range(11),
)
async def test_nonsense_in_json_is_refused_with_the_reason(content: str, operator: httpx.AsyncClient) -> None:
    answer = await operator.post(
        "/api/models/bad-json/records", content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422, answer.text
    assert (await operator.get("/api/models/bad-json")).status_code == 404


async def test_rows_that_are_wrong_are_told_and_the_others_kept(operator: httpx.AsyncClient) -> None:
    rows = [*records(3), {"id": "odd", "confidence": 1.5}, {"id": "", "prediction": "a"}, {"id": "y" * 300}]

    said = (await send(operator, "partly", "records", rows)).json()

    assert said["rows"] == 3
    assert said["rejected"] == {"confidence: outside 0..1": 1, "id: missing": 1, "id: longer than 200": 1}


async def test_a_million_distinct_labels_are_only_many(operator: httpx.AsyncClient) -> None:
    """Of which 1,000 names are told apart, and the rest counted together."""
    number = 50_000
    ids = [f"d{n}" for n in range(number)]
    table = pa.table({"id": ids, "prediction": ids})

    await send(operator, "distinct", "records", table)
    await send(operator, "distinct", "labels", pa.table({"id": ids, "label": ids}))

    said = await summary_of(operator, "distinct")
    assert said["performance"]["accuracy_total"] == {
        "value": 1,
        "low": pytest.approx(1, abs=0.001),
        "high": pytest.approx(1),
        "of": number,
    }
    assert said["quality"]["folded"]["classes"] == number - 1000


# From a monitor ------------------------------------------------------------------------------------------------------

PREDICTS = """
import sys
if {plain}: sys.modules["pyarrow"] = None          # as in a model server that has none
from watchkeeper_monitor import Monitor
m = Monitor({name!r}, version="2", records=1.0, texts=True, push_seconds=600)
for n in range(40):
    m.track("card", 0.8, 0.01, id=f"request-{{n}}", segment="eu", text="I am ada@example.org", features={{"age": n}})
m.label(m.track("cash", 0.7), "cash")
m.track_batch(["card", "cash"], true_labels=["card", "card"])
m.track(1.5, float("nan"), -1, cost=float("inf"))
m.close()
assert m.pushed.taken == 3 and not m.pushed.problem, m.pushed
"""
LABELS = """
from watchkeeper_monitor import Monitor
m = Monitor({name!r}, push_seconds=600)
for n in range(20): m.label(f"request-{{n}}", "card" if n < 15 else "cash")
m.close()
assert m.pushed.taken == 2 and not m.pushed.problem, m.pushed
"""


@pytest.mark.parametrize("plain", [False, True], ids=["with-pyarrow", "without"])
async def test_labels_come_from_another_process(
    plain: bool, operator: httpx.AsyncClient, address: str, runtime: Runtime, tmp_path: Path
) -> None:
    """Which never saw the predictions; before and after make no difference, and nothing is counted twice."""
    name = f"apart-{plain}".lower()
    said = {"WATCHKEEPER_URL": address, "WATCHKEEPER_TOKEN": runtime.token, "WATCHKEEPER_SPOOL": str(tmp_path)}
    for code in (LABELS, PREDICTS) if plain else (PREDICTS, LABELS):
        command = [sys.executable, "-c", PATIENT + code.format(name=name, plain=plain)]
        await asyncio.to_thread(subprocess.run, command, env=said, check=True, timeout=120)

    summed = await summary_of(operator, name)
    page = (await operator.get(f"/api/models/{name}/records", params={"limit": 100})).json()["items"]

    assert summed["predictions"] == len(page) == 44
    assert summed["over"]["labels_from"] == "records"
    assert summed["over"]["labels"]["labelled"] == 23
    assert summed["performance"]["accuracy_total"]["of"] == 23
    assert summed["performance"]["accuracy_total"]["value"] == pytest.approx(17 / 23)
    assert summed["performance"]["coverage"] == pytest.approx(23 / 44)
    assert {each["text"] for each in page} == {None, "I am [email]"}
    (one,) = [each for each in page if each["id"] == "request-3"]
    assert (one["version"], one["segment"], one["features"], one["label"]) == ("2", "eu", '{"age": 3}', "card")
    (number,) = [each for each in page if each["value"] is not None]
    assert (number["value"], number["confidence"], number["latency_seconds"], number["cost"]) == (1.5, None, None, None)
