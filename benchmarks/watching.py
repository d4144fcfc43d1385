"""What watching costs: CPU, memory, lateness and store of the real Watch over 10, 100 and 1,000 resources.

Run: .venv/bin/python benchmarks/watching.py --seconds 30 --json benchmarks/results/watching.json

A look of a real Redis is measured first; the benchmark connector's look, which makes the same reading and then works
until it has cost as much processor time, is calibrated to it. Both are printed. CPU is processor time of the process,
which other load on the machine does not change; lateness is wall time, which it does: the load is stated.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import resource as limits
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from watchkeeper import __version__
from watchkeeper.connectors import Registry
from watchkeeper.connectors.redis import connector as redis
from watchkeeper.domain import Alert, Probe, Reading, Resource, now
from watchkeeper.incidents import Desk
from watchkeeper.settings import Settings
from watchkeeper.store import Store
from watchkeeper.watch import Watch

ROOT = Path(__file__).resolve().parent.parent
INTERVAL = 2.0
LOOKS = 400


def start_redis(folder: str, port: int) -> subprocess.Popen[bytes]:
    command = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        folder,
        "--save",
        "",
        "--maxmemory",
        "64mb",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if b"Ready to accept" in line:
            return process
    raise RuntimeError("redis-server did not start; is it installed?")


class Worker:
    """The benchmark connector: the rules of Redis over a reading of Redis that costs `rounds` of work."""

    kind = "redis"
    metric, sample, tools, runbooks = redis.metric, redis.sample, redis.tools, redis.runbooks

    def __init__(self, number: int, rounds: int, template: Reading) -> None:
        self.rules = redis.rules
        self.number, self.rounds, self.template = number, rounds, template
        self.full: set[str] = set()
        """Ids of the resources whose memory is full: they alert."""

    async def discover(self, hosts: Any, settings: Any) -> AsyncIterator[Resource]:
        for number in range(self.number):
            yield Resource(f"local/production/redis/r{number}", f"r{number}")

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Any) -> AsyncIterator[Resource]:
        yield resource

    async def read(self, session: Resource, last: Reading | None) -> Reading:
        await asyncio.sleep(0)
        metrics = {name: value + 0.0 for name, value in self.template.metrics.items()}
        work(self.rounds)
        if session.id in self.full:
            metrics["used_memory_ratio"] = 0.99
        return replace(self.template, metrics=metrics, facts=dict(self.template.facts))

    async def probe(self, session: Resource) -> Probe:
        return Probe(session.id, now(), True, 0.0, "nothing")

    def level(self, line: str) -> None:
        return None


def work(rounds: int) -> None:
    """Processor time, in the interpreter, as parsing INFO is."""
    text = "used_memory:12345"
    for _ in range(rounds):
        text.split(":")


async def cost(connector: Any, resource: Resource, number: int, before: Any = None) -> tuple[float, Reading]:
    """CPU seconds of one look, the median of five batches, and the last reading."""
    batches: list[float] = []
    async with connector.connect(resource, None) as session:
        last: Reading | None = None
        for _ in range(5):
            began = time.process_time()
            for _ in range(number // 5):
                if before:
                    before(session)
                last = await connector.read(session, last)
            batches.append((time.process_time() - began) / (number // 5))
    assert last is not None
    return statistics.median(batches), last


async def calibrated(target: float, template: Reading) -> tuple[int, float]:
    """Rounds that make the benchmark connector's look cost the target, within some per cent, and that cost."""
    resource, rounds = Resource("local/production/redis/r", "r"), 200
    measured = 0.0
    for _ in range(12):
        worker = Worker(1, rounds, template)
        measured, _ = await cost(worker, resource, LOOKS)
        if abs(measured / target - 1) < 0.03:
            break
        empty, _ = await cost(Worker(1, 0, template), resource, LOOKS)
        each = max(1e-9, (measured - empty) / max(1, rounds))
        rounds = max(0, round((target - empty) / each))
    return rounds, measured


async def watched(number: int, rounds: int, template: Reading, seconds: float, *, incident: bool) -> dict[str, Any]:
    """The real Watch, store and desk over so many resources, for so long after everything was looked at once."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), watch={"interval": INTERVAL, "discover": 60})
        worker = Worker(number, rounds, template)
        looks: dict[str, list[float]] = {}

        def looked(reading: Reading) -> None:
            looks.setdefault(reading.resource, []).append(time.monotonic())

        async with Store.open(f"sqlite+aiosqlite:///{folder}/watchkeeper.db") as store:
            desk = Desk(store)
            watch = Watch(Registry([worker]), settings, store, [], desk.alerted, desk.vanished)
            desk.watch = watch
            watch.on_reading = looked
            begun = time.monotonic()
            await watch.start()
            try:
                while len(looks) < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                ready = time.monotonic() - begun
                if incident:
                    worker.full.add("local/production/redis/r0")
                    while not await store.select(Alert, status="firing"):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                looks.clear()
                size, cpu, wall = used(folder), time.process_time(), time.monotonic()
                await asyncio.sleep(seconds)
                cpu, wall = time.process_time() - cpu, time.monotonic() - wall
                count = sum(len(times) for times in looks.values())
                late = sorted(
                    later - earlier - INTERVAL * 1.1
                    for times in looks.values()
                    for earlier, later in itertools.pairwise(times)
                )
                kept = used(folder) - size
                rows = len(await store.readings("local/production/redis/r1", since=template.at, until=now()))
            finally:
                await watch.stop()
            row = await reading_bytes(store, template)
    return {
        "resources": number,
        "incident": incident,
        "seconds": round(wall, 1),
        "ready_seconds": round(ready, 2),
        "looks": count,
        "looks_per_second": round(count / wall, 1),
        "cores": round(cpu / wall, 3),
        "cpu_ms_per_look": round(1000 * cpu / max(1, count), 3),
        "late_p99_seconds": round(max(0.0, late[int(0.99 * (len(late) - 1))]), 3) if late else None,
        "rss_mb": rss(),
        "store_grew_bytes": kept,
        "stored_per_resource": rows,
        "bytes_per_reading": row,
        "store_mb_per_24h": round(number * 1440 * row / 1e6, 1),
    }


async def reading_bytes(store: Store, template: Reading) -> int:
    """Bytes of the database for one stored reading, over 5,000 of them."""
    from datetime import timedelta

    before = await pages(store)
    async with store.transaction() as transaction:
        await transaction.keep_readings(
            replace(template, resource="local/production/redis/size", at=template.at + timedelta(seconds=n))
            for n in range(5000)
        )
    return round((await pages(store) - before) / 5000)


async def pages(store: Store) -> int:
    import sqlalchemy as sa

    async with store._engine.connect() as connection:
        count = (await connection.execute(sa.text("PRAGMA page_count"))).scalar_one()
        return int(count) * int((await connection.execute(sa.text("PRAGMA page_size"))).scalar_one())


def used(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).iterdir())


def rss() -> float:
    pages_used = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages_used * limits.getpagesize() / 1e6, 1)


async def measure(seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server = start_redis(folder, port := 20_000 + os.getpid() % 10_000)
        try:
            real = Resource("local/production/redis/real", "real", settings={"url": f"redis://127.0.0.1:{port}"})
            light, template = await cost(redis, real, LOOKS)
            full, _ = await cost(
                redis, real, LOOKS, before=lambda s: (s.soon("configuration"), s.soon("limits"), s.soon("sample"))
            )
        finally:
            server.kill()
            server.wait()
    rounds, own = await calibrated(light, template)
    off = own / light - 1
    print(
        f"a look of a real Redis: {1000 * light:.3f} ms of CPU, with all that is looked at seldom {1000 * full:.3f} ms"
    )
    print(f"a look of the benchmark connector: {1000 * own:.3f} ms ({off:+.1%})", flush=True)
    rows: list[dict[str, Any]] = []
    for number, incident in ((10, False), (100, False), (1000, False), (1000, True)):
        row = await one_of(number, rounds, template, seconds, incident)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return {
        "version": __version__,
        "command": "python benchmarks/watching.py " + " ".join(sys.argv[1:]),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
        "interval_seconds": INTERVAL,
        "redis_look_cpu_ms": {"light": round(1000 * light, 3), "full": round(1000 * full, 3)},
        "benchmark_look_cpu_ms": round(1000 * own, 3),
        "calibrated_within": round(abs(off), 4),
        "rows": rows,
    }


async def one_of(number: int, rounds: int, template: Reading, seconds: float, incident: bool) -> dict[str, Any]:
    """In a process of its own, so that memory is this row's alone."""
    content = json.dumps(
        {
            "number": number,
            "rounds": rounds,
            "seconds": seconds,
            "incident": incident,
            "metrics": dict(template.metrics),
            "facts": dict(template.facts),
        }
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--one", content, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    return json.loads(out.decode().strip().splitlines()[-1])


async def one(content: dict[str, Any]) -> None:
    template = Reading("x", now(), 0.001, content["metrics"], content["facts"], "fine")
    row = await watched(
        content["number"], content["rounds"], template, content["seconds"], incident=content["incident"]
    )
    print(json.dumps(row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each row is measured")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        asyncio.run(one(json.loads(given.one)))
        return
    content = asyncio.run(measure(given.seconds))
    if given.json:
        given.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
