"""How quickly the API answers, and how soon those hear who follow: a real `watchkeeper up` over a thousand resources.

Run: .venv/bin/python -m benchmarks.api --json benchmarks/results/api.json

Pages of 100 of the resources are asked for at a fixed rate, whatever comes back, and timed from when each was due,
while a Redis that has become full is healed. Then clients follow `/api/live` over WebSockets while something happens
again and again: from the moment an event is made, before it is committed, until each of them has it.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from tests.conftest import start_redis
from tests.crash import harness
from tests.crash.harness import Server
from websockets.asyncio.client import connect

from benchmarks.flood import cpu, fill
from benchmarks.many import installed
from watchkeeper import __version__

CONNECTIONS = 20
PAGE = "/api/resources?limit=100"
EVENTS = 40


def quantiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(seconds)
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in SHARES.items()}
    return {name: round(1000 * value, 1) for name, value in at.items()}


SHARES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}


async def asked(port: int, rate: float, seconds: float) -> list[float]:
    """So many pages a second over connections that stay open; from when each was due until it was there whole."""
    loop = asyncio.get_running_loop()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    took: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (at := await due.get()) is not None:
            writer.write(f"GET {PAGE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(loop.time() - at)
        writer.close()

    workers = [asyncio.create_task(ask()) for _ in range(CONNECTIONS)]
    began = loop.time()
    for number in range(int(rate * seconds)):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - loop.time()))
        due.put_nowait(at)
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    return took


async def heard(server: Server, clients: int) -> tuple[list[float], list[float]]:
    """From the making of each event until each client has it; and until the last of them has."""
    each: list[float] = []
    by_event: dict[int, float] = {}

    async def follow(there: asyncio.Event) -> None:
        url = f"ws://127.0.0.1:{server.port}/api/live?kinds=paused&kinds=resumed"
        async with connect(url, open_timeout=120, compression=None, proxy=None, ping_interval=None) as client:
            await client.recv()
            there.set()
            for _ in range(EVENTS):
                event = json.loads(await client.recv())["event"]
                delay = time.time() - datetime.fromisoformat(event["at"]).timestamp()
                each.append(delay)
                by_event[event["seq"]] = max(by_event.get(event["seq"], 0.0), delay)

    ready = [asyncio.Event() for _ in range(clients)]
    following = [asyncio.create_task(follow(there)) for there in ready]
    await asyncio.gather(*(there.wait() for there in ready))
    for number in range(EVENTS):
        await asyncio.to_thread(server.post, "/api/resume" if number % 2 else "/api/pause", {})
        await asyncio.sleep(0.2)
    await asyncio.gather(*following)
    return each, list(by_event.values())


def run(folder: Path, number: int, rate: float, seconds: float, clients: int) -> dict[str, Any]:
    """One `up` over so many."""
    (folder / "redis").mkdir()
    victim = start_redis(folder / "redis")
    named = {"name": "victim", "kind": "redis", "url": victim.url, "environment": "lab", "act": True}
    config = folder / "watchkeeper.yaml"
    resources = [{**named, "settings": {"cache_keys": ["cache:*"]}}]
    config.write_text(yaml.safe_dump({"mode": "auto", "only": ["victim", "m*"], "resources": resources}))
    environment = {"PYTHONPATH": str(installed(folder)), "MANY": str(number - 1)}
    environment |= {"WATCHKEEPER_WATCH__QUICK": "0.2", "WATCHKEEPER_WATCH__INTERVAL": "2"}
    server = Server(folder / "data", config, environment, fresh=True)
    harness.PATIENCE = 300.0
    try:
        server.start().until_kind("server.started")
        server.poll(lambda at: at.get("/api/resources/status?limit=1")["counts"].get("HEALTHY") == number)
        burnt = cpu(server)
        time.sleep(3)
        idle = (cpu(server) - burnt) / 3
        fill(victim)
        burnt, began = cpu(server), time.monotonic()
        pages = asyncio.run(asked(server.port, rate, seconds))
        spent = cpu(server) - burnt - idle * (time.monotonic() - began)
        server.poll(lambda at: all(one["status"] == "closed" for one in at.get("/api/incidents")["items"]))
        fixes = [fix["verdict"]["outcome"] for fix in server.get("/api/fixes")["items"] if fix["verdict"]]
        each, last = asyncio.run(heard(server, clients))
    finally:
        server.stop()
        victim.stop()
        assert victim.process.stdout is not None
        victim.process.stdout.close()
    return {
        "resources": number,
        "page": PAGE,
        "requests_per_second": rate,
        "requests": len(pages),
        "answered": quantiles(pages),
        "server_cpu_ms_per_request": round(1000 * spent / len(pages), 2),
        "meanwhile": {"fixes": fixes},
        "live_clients": clients,
        "live_events": EVENTS,
        "live_delay": quantiles(each),
        "live_delay_of_the_last_client": quantiles(last),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=200, help="that follow the live feed")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="watchkeeper-api-") as folder:
        row = run(Path(folder), given.number, given.rate, given.seconds, given.clients)
    machine: dict[str, Any] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    machine |= {"load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1)}
    print(json.dumps(machine | row, indent=1))
    if given.json:
        given.json.write_text(json.dumps({"version": __version__, "machine": machine, "rows": [row]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
