"""Rankings as records: their labels come from anywhere, in any order, and what is ranked is watched for shifts."""

import asyncio
import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.test_model_rows import send, summary_of
from tests.server.test_models import PATIENT, push
from watchkeeper.server import Runtime
from watchkeeper_monitor import Monitor

MEASURED = ("rankings", "rankings_total")


def local(shown: dict[str, list[str]], relevant: dict[str, Any]) -> dict[str, Any]:
    """What the process that made them would say."""
    monitor = Monitor("local", server="")
    for name, ranking in shown.items():
        monitor.track(ranking, id=name)
    for name, truth in relevant.items():
        monitor.label(name, truth)
    return monitor.summary().to_dict()["performance"]


SHOWN = {f"q{n}": random.Random(n).sample("abcdefghijkl", 6) for n in range(30)}
RELEVANT: dict[str, Any] = {f"q{n}": "a" for n in range(0, 30, 3)}
RELEVANT |= {f"q{n}": ["b", "c"] for n in range(1, 30, 3)} | {"q2": {"d": 3.0, "e": 1}, "q5": []}


async def test_labels_of_rankings_in_any_order_give_what_the_monitor_itself_says(operator: httpx.AsyncClient) -> None:
    """Before their records, after them, twice, corrected later: the latest counts."""
    at = datetime.now(UTC) - timedelta(hours=1)
    rows = [{"id": name, "ranking": shown, "version": "1", "at": at.isoformat()} for name, shown in SHOWN.items()]
    labels = [{"id": name, "label": truth, "at": at.isoformat()} for name, truth in RELEVANT.items()]
    labels += [dict(labels[0]), {"id": "q3", "label": "l", "at": (at - timedelta(days=2)).isoformat()}]
    labels += [{"id": "q6", "label": ["f", "g"], "at": (at + timedelta(minutes=5)).isoformat()}]
    expected = local(SHOWN, RELEVANT | {"q6": ["f", "g"]})
    found: list[Any] = []
    for number, name in enumerate(("ranked-a", "ranked-b")):
        shuffled = random.Random(number).sample(labels, len(labels))
        steps = [("labels", shuffled[:9]), ("records", rows), ("labels", shuffled[9:])]
        for kind, sent in steps if number else reversed(steps):
            assert (await send(operator, name, kind, sent)).status_code == 200
        found.append(await summary_of(operator, name))

    said = found[0]["performance"]
    assert said["rankings_total"]["ndcg@10"]["of"] == 21  # all that are labelled, but one of which nothing is relevant
    for which in MEASURED:
        for name, share in expected[which].items():
            assert said[which][name] == {each: pytest.approx(value) for each, value in share.items()}, name
    assert found[1]["performance"] == said
    assert found[0]["over"]["labels_from"] == "records"
    assert (found[0]["over"]["labels"]["labelled"], found[0]["over"]["labels"]["repeated"]) == (22, 1)
    assert found[0]["over"]["labels"]["conflicting"] == 2


PREDICTS = """
import sys
if {plain}: sys.modules["pyarrow"] = None
from watchkeeper_monitor import Monitor
m = Monitor({name!r}, version="1", records=1.0, push_seconds=600)
for name, shown in {shown}.items(): m.track(shown, id=name)
m.label(m.track(["here", "there"]), "there")
m.close()
assert m.pushed.taken == 3 and not m.pushed.problem, m.pushed
"""
LABELS = """
from watchkeeper_monitor import Monitor
m = Monitor({name!r}, push_seconds=600)
for name, truth in {relevant}.items(): m.label(name, truth)
m.close()
assert m.pushed.taken == 2 and not m.pushed.problem, m.pushed
"""


@pytest.mark.parametrize("plain", [False, True], ids=["with-pyarrow", "without"])
async def test_labels_of_rankings_come_from_another_process(
    plain: bool, operator: httpx.AsyncClient, address: str, runtime: Runtime, tmp_path: Path
) -> None:
    """Which never saw them. What the predicting process judged itself is not added to it."""
    name = f"searches-{plain}".lower()
    said = {"WATCHKEEPER_URL": address, "WATCHKEEPER_TOKEN": runtime.token, "WATCHKEEPER_SPOOL": str(tmp_path)}
    for code in (LABELS, PREDICTS) if plain else (PREDICTS, LABELS):
        filled = code.format(name=name, plain=plain, shown=SHOWN, relevant=RELEVANT)
        command = [sys.executable, "-c", PATIENT + filled]
        await asyncio.to_thread(subprocess.run, command, env=said, check=True, timeout=120)

    summed = await summary_of(operator, name)
    page = (await operator.get(f"/api/models/{name}/records", params={"limit": 100})).json()["items"]

    expected = local(SHOWN | {"own": ["here", "there"]}, RELEVANT | {"own": "there"})
    assert summed["predictions"] == len(page) == 31
    for measure, share in expected["rankings_total"].items():
        assert summed["performance"]["rankings_total"][measure]["value"] == pytest.approx(share["value"])
        assert summed["performance"]["rankings_total"][measure]["of"] == share["of"]
    assert summed["performance"]["coverage"] == pytest.approx(22 / 31)
    (one,) = [each for each in page if each["id"] == "q1"]
    assert (json.loads(one["ranking"]), json.loads(one["label"]), one["prediction"]) == (SHOWN["q1"], ["b", "c"], None)


async def test_rankings_that_became_worse_say_since_when_they_were_made(operator: httpx.AsyncClient) -> None:
    began, chance = datetime.now(UTC) - timedelta(hours=3), random.Random(5)
    fell = began + timedelta(seconds=10 * 600)
    items = list("abcdefgh")
    rows = [
        {"id": f"w{n}", "ranking": items, "version": "1", "at": (began + timedelta(seconds=10 * n)).isoformat()}
        for n in range(1000)
    ]
    labels = [{"id": f"w{n}", "label": chance.choice("abc" if n < 600 else "fgh")} for n in range(1000)]
    chance.shuffle(labels)  # all of them come now
    await send(operator, "worse", "records", rows)
    await send(operator, "worse", "labels", labels)

    (change,) = [each for each in (await summary_of(operator, "worse"))["quality"]["changes"] if each["after"]]

    assert change["stream"] == "ndcg@10"
    assert abs(datetime.fromisoformat(change["since"]) - fell) <= timedelta(seconds=1000)
    assert change["before"] == pytest.approx((1 + 0.631 + 0.5) / 3, abs=0.03)
    assert change["after"] == pytest.approx((0.356 + 0.333 + 0.315) / 3, abs=0.03)


async def test_what_is_ranked_first_is_compared_with_a_period_of_production(operator: httpx.AsyncClient) -> None:
    def pushed(first: str) -> dict[str, Any]:
        monitor = Monitor("shop", "1", server="")
        monitor.track_batch([[first if n % 2 else "rest", "a", "b"] for n in range(2000)])
        return {"began": 1.0, "profile": monitor.profile().to_dict()}

    await push(operator, "shop", pushed("umbrella"), 1)
    await operator.put("/api/models/shop/reference", json={"since": "2026-01-01T00:00:00Z"})
    still = (await operator.get("/api/models/shop/drift")).json()
    for number in (2, 3, 4):
        await push(operator, "shop", pushed("sunglasses"), number)

    drift = (await operator.get("/api/models/shop/drift")).json()

    assert still["shifted"] == []
    assert drift["shifted"] == ["prediction"]
    assert drift["columns"][0]["unseen"] == pytest.approx(3 / 8)


@pytest.mark.parametrize("ranking", ["a", "{}", "[[1]]", '["a"', '[{"a": 1}]'])
async def test_what_is_no_ranking_is_told_and_the_others_kept(ranking: str, operator: httpx.AsyncClient) -> None:
    name = f"odd-{ranking.encode().hex()}"
    told = await send(operator, name, "records", [{"id": "a", "ranking": ranking}, {"id": "b", "ranking": ["x", None]}])
    assert told.json()["rejected"] == {"ranking: no JSON list of items": 1}
    await send(operator, name, "labels", [{"id": "b", "label": {"x": -1}}])
    said = await summary_of(operator, name) if told.status_code == 200 else {}
    assert said["performance"]["rankings_total"] == {}
    assert said["performance"]["labels_unknown"] == 1


async def test_a_label_of_many_items_is_kept_whole(operator: httpx.AsyncClient) -> None:
    many = [f"item-{n}" for n in range(900)]
    await send(operator, "wide", "records", [{"id": "a", "ranking": many[-100:]}])
    told = await send(operator, "wide", "labels", [{"id": "a", "label": many}, {"id": "b", "label": "x" * 300}])
    assert told.json()["rejected"] == {"label: longer than 250": 1}
    assert (await summary_of(operator, "wide"))["performance"]["rankings_total"]["map"]["value"] == 1.0
