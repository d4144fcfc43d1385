"""What the server side of monitoring costs: profiles merged a second, labels joined a second.

The room `predictions` on SQLite, without HTTP: 100 models of 20 replicas push what 50 predictions of 77 classes gave,
each push read from JSON, checked, merged and committed. Then records and labels of one model are joined. Seconds of
CPU are of this process; the machine's load is noted. `python -m benchmarks.monitor_server`, under a minute.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from watchkeeper.predictions import Predictions, PushBody, Shelf, Where
from watchkeeper.store import Store
from watchkeeper_monitor import Monitor

MODELS, REPLICAS, PREDICTIONS = 100, 20, 50
CLASSES = [f"intent-{number}" for number in range(77)]
EVERY = 5.0
"""Seconds between two pushes of a replica, by default."""


def push(model: str, chance: random.Random) -> bytes:
    """As a monitor sends it."""
    monitor = Monitor(model, "1.4.0", server="")
    for _ in range(PREDICTIONS):
        said = chance.choice(CLASSES)
        true = said if chance.random() < 0.9 else chance.choice(CLASSES)
        monitor.track(said, chance.random(), chance.expovariate(30), chance.randrange(5, 200), true_label=true)
    body = {"began": time.time(), "every": EVERY, "seconds": EVERY, "profile": monitor.profile().to_dict()}
    return json.dumps(body).encode()


async def merging(predictions: Predictions, bodies: list[bytes], rounds: int) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    for sequence in range(1, rounds + 1):

        async def one(number: int, sequence: int = sequence) -> None:
            body = PushBody.model_validate_json(bodies[number % MODELS])
            await predictions.take(f"model-{number % MODELS}", f"{number:032x}", sequence, 0.0, body)

        await asyncio.gather(*(one(number) for number in range(MODELS * REPLICAS)))
    cpu, wall, number = time.process_time() - cpu, time.perf_counter() - wall, rounds * MODELS * REPLICAS
    return {
        "profiles": number,
        "profile_bytes": round(sum(map(len, bodies)) / len(bodies)),
        "merged_per_second": round(number / wall),
        "merged_per_cpu_second": round(number / cpu),
        "models": MODELS,
        "replicas": REPLICAS,
        "cpu_share_of_one_core": round(MODELS * REPLICAS / EVERY * cpu / number, 3),
    }


async def summing(predictions: Predictions) -> dict[str, Any]:
    began = time.perf_counter()
    summed = await predictions.summary("model-0", None, datetime.now(UTC) - timedelta(days=7))
    return {"predictions": summed.summary.predictions, "seconds": round(time.perf_counter() - began, 4)}


async def joining(predictions: Predictions, shelf: Shelf, number: int) -> dict[str, Any]:
    pa: Any = import_module("pyarrow")
    at = datetime.now(UTC) - timedelta(minutes=5)
    chance = random.Random(1)
    said = [chance.choice(CLASSES) for _ in range(number)]
    base = {"id": [f"request-{n}" for n in range(number)], "at": [at] * number}
    kind = pa.timestamp("us", tz="UTC")
    from watchkeeper.predictions.tables import schema_of

    records = pa.table({**base, "prediction": said, "confidence": [0.8] * number})
    for field in schema_of("records"):
        if field.name not in records.schema.names:
            records = records.append_column(field, pa.nulls(number, field.type))
    records = records.select(schema_of("records").names).cast(schema_of("records"))
    order = list(range(number))
    chance.shuffle(order)
    labels = pa.table(
        {"id": [f"request-{n}" for n in order], "at": pa.array([at] * number, kind), "label": [said[n] for n in order]}
    )
    began = time.perf_counter()
    shelf.write("joined", "records", records, "bench")
    shelf.write("joined", "labels", labels.cast(schema_of("labels")), "bench")
    written = time.perf_counter() - began
    cpu, began = time.process_time(), time.perf_counter()
    told = await predictions.records.told(Where("joined", at - timedelta(1), datetime.now(UTC)), "1")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    assert told.joined.labels.labelled == told.judged.truth.correct == number
    return {
        "labels": number,
        "written_rows_per_second": round(2 * number / written),
        "joined_per_second": round(number / wall),
        "joined_per_cpu_second": round(number / cpu),
    }


async def measured(rounds: int, labels: int) -> dict[str, Any]:
    chance = random.Random(7)
    load = os.getloadavg()
    bodies = [push(f"model-{number}", chance) for number in range(MODELS)]
    with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:
        shelf = Shelf(Path(folder) / "predictions", 30, 1 << 40)
        async with (
            Store.open(f"sqlite+aiosqlite:///{folder}/store.db") as store,
            Predictions(store, timedelta(days=90), shelf).running() as predictions,
        ):
            found = {
                "merging": await merging(predictions, bodies, rounds),
                "summary": await summing(predictions),
                "joining": await joining(predictions, shelf, labels),
            }
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "load_before": load, "load_after": os.getloadavg()},
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="pushes of each replica")
    parser.add_argument("--labels", type=int, default=300_000)
    parser.add_argument("--json", type=Path)
    said = parser.parse_args()
    found = asyncio.run(measured(said.rounds, said.labels))
    text = json.dumps(found, indent=1)
    if said.json:
        said.json.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
