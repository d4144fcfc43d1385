"""The long crash run: `watchkeeper up` is killed in every phase of a fix, again and again, on both stores.

Each kill must end with the fault mended, every tool having acted exactly once, one incident, and nothing lost. On
SQLite the killed process is started again; on PostgreSQL two executors share the work, and the other one takes over.

    .venv/bin/python -m benchmarks.crash --kills 200 --json benchmarks/results/crash.json
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tests.conftest import RedisServer, free_port, start_redis
from tests.crash import harness
from tests.crash.harness import Server
from tests.postgres import Postgres

ROOT = Path(__file__).parent.parent
OVER = ("incident.closed", "incident.escalated")
EVENTS = (
    "incident.opened",
    "incident.diagnosed",
    "fix.started",
    "fix.step.intended",
    "fix.step.acting",
    "fix.step.done",
    "fix.executed",
    "incident.verifying",
)
INSIDE = {
    "ledger_mend:before": "broken",
    "ledger_mend:after": "broken",
    "ledger_try:before": "stubborn",
    "ledger_try:after": "stubborn",
    "undo:before": "stubborn",
    "undo:after": "stubborn",
}
"""Moments inside a tool, before and after its side effect, and the fault that leads there."""
PHASES = (*EVENTS, *INSIDE)
ACTS = {"broken": {"ledger_mend": 1}, "stubborn": {"ledger_try": 1, "undo": 1, "ledger_mend": 1}}
NOTE = (
    "both stores at once; on SQLite the killed process is started again, and its start counts; on PostgreSQL the other "
    "of two executors takes over"
)
POLICY = "policy: {changes_per_hour: 1000, breaker_failures: 0}"
"""Neither many changes in an hour nor a tool that is undone again and again may end the run: both are wanted here."""
ROUND = 14
"""Kills on one store before a new one is made; each has a ledger of its own."""


@dataclass
class Kill:
    """What came of one."""

    store: str
    phase: str
    outcome: str
    resumed_seconds: float
    """From the kill to the first thing that is done about its incident again."""
    ended_seconds: float
    wrong: str = ""


class Place:
    """One store with what watches it."""

    def __init__(self, folder: Path, store: str, url: str | None, plugin: Path, redis: RedisServer) -> None:
        self.store = store
        self.redis = redis
        self.servers: list[Server] = []
        for number in range(2 if url else 1):
            home = folder / f"home{number}"
            home.mkdir(parents=True)
            lines = ["mode: auto", "only: ['ledger*']", POLICY]
            lines += [f"store: {url}"] if url else []
            lines.append("resources:")
            for ledger in range(ROUND):
                where = f"redis://127.0.0.1:{redis.port}/{ledger}"
                lines.append(f"  - {{name: ledger{ledger}, kind: ledger, url: '{where}', environment: lab, act: true}}")
            (home / "watchkeeper.yaml").write_text("\n".join(lines))
            environment = {
                "PYTHONPATH": str(plugin),
                "LEDGER_DIE": str(home / "die"),
                "WATCHKEEPER_WATCH__INTERVAL": "0.5",
            }
            self.servers.append(Server(home / "data", home / "watchkeeper.yaml", environment))

    def start(self) -> None:
        for server in self.servers:
            server.start()
        for server in self.servers:
            up(server)
        self.shared_out()

    def shared_out(self) -> None:
        """Once each executor holds its share: until then a ledger may be handed over between arming and killing."""
        names = {me(server) for server in self.servers}

        def even(server: Server) -> bool:
            held = Counter(i["holder"] for i in server.get("/api/resources/status")["items"])
            return held.keys() == names and max(held.values()) - min(held.values()) <= 1

        self.servers[0].poll(even)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def holders(self) -> dict[str, str | None]:
        return {i["slug"]: i["holder"] for i in self.servers[0].get("/api/resources/status")["items"]}

    def owner(self, ledger: str) -> Server:
        holder = self.holders()[ledger]
        return next((server for server in self.servers if me(server) == holder), self.servers[0])

    def kill(self, phase: str, number: int) -> Kill:
        ledger = f"ledger{number}"
        self.shared_out()
        owner = self.owner(ledger)
        client = self.redis.client()
        client.select(number)
        fault = INSIDE.get(phase, "broken")
        if phase in INSIDE:
            (owner.data.parent / "die").write_text(phase)
        client.set("fault", fault)
        incident = ""

        def reached(event: dict[str, Any]) -> bool:
            nonlocal incident
            if event["kind"] == "incident.opened" and event["resource"].endswith(f"/{ledger}"):
                incident = event["incident"]
            return bool(incident) and event["incident"] == incident and event["kind"] == phase

        if phase in INSIDE:
            owner.died()
        else:
            owner.until(reached)
            owner.kill()
        began = time.monotonic()
        survivor = next((server for server in self.servers if server is not owner), owner)
        owner.start()
        known = up(survivor)
        opened = survivor.until(lambda e: e["kind"] == "incident.opened" and e["resource"].endswith(f"/{ledger}"))
        incident = opened["incident"]
        resumed = ended = 0.0
        last = {"kind": ""}

        def over(event: dict[str, Any]) -> bool:
            nonlocal resumed, last
            if event["incident"] == incident and datetime.fromisoformat(event["at"]) > killed_at and not resumed:
                resumed = time.monotonic() - began
            last = event
            return event["incident"] == incident and event["kind"] in OVER

        killed_at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - began)
        survivor.until(over, after=opened["seq"])
        ended = time.monotonic() - began
        shown = survivor.get(f"/api/incidents/{incident}")
        up(owner)
        return Kill(
            self.store, phase, shown["incident"]["outcome"] or shown["incident"]["status"], round(resumed or ended, 2),
            round(ended, 2), self._wrong(client, shown, fault, known),
        )  # fmt: skip

    def _wrong(self, client: Any, shown: dict[str, Any], fault: str, _: Any) -> str:
        """What a kill must never lead to, and did; empty where all is as it must be."""
        acts = {tool: int(client.get(f"done:{tool}") or 0) for tool in ACTS[fault]}
        if acts != ACTS[fault]:
            return f"acted {acts} instead of {ACTS[fault]}"
        if shown["incident"]["status"] != "closed":
            return f"the incident is {shown['incident']['status']}: {shown['incident']['reason']}"
        if any(fix["status"] != "closed" for fix in shown["fixes"]):
            return "a fix was left open"
        numbers = [event["seq"] for event in shown["events"]]
        return "" if numbers == sorted(set(numbers)) else "the history is out of order"


def me(server: Server) -> str | None:
    page = server.get("/api/resources/status")
    return next((member["id"] for member in page["executors"] if member["here"]), None)


def up(server: Server) -> Any:
    """Once it answers."""
    server.until(lambda event: True)
    return server.port


@contextmanager
def place(folder: Path, store: str, postgres: Postgres | None, plugin: Path) -> Iterator[Place]:
    folder.mkdir(parents=True)
    redis = start_redis(folder, "--databases", str(ROUND + 1))
    made = Place(folder, store, postgres.database() if postgres else None, plugin, redis)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        redis.stop()


def run(folder: Path, store: str, phases: list[str], plugin: Path, until: float) -> list[Kill]:
    """The kills on one store, in rounds."""
    kills: list[Kill] = []
    with ExitStack() as stack:
        postgres = None
        if store == "postgresql":
            postgres = Postgres(folder / "postgres", free_port(), {}).create()  # as safe as it comes: fsync on
            stack.callback(postgres.stop)
        for number in range(0, len(phases), ROUND):
            if time.monotonic() > until:
                break
            with place(folder / f"round{number}", store, postgres, plugin) as here:
                for index, phase in enumerate(phases[number : number + ROUND]):
                    if time.monotonic() > until:
                        return kills
                    try:
                        kill = here.kill(phase, index)
                    except Exception as problem:
                        kill = Kill(store, phase, "unknown", 0.0, 0.0, f"{type(problem).__name__}: {problem}"[:300])
                    kills.append(kill)
                    print(f"{store} {len(kills)}/{len(phases)} {phase}: {kill}", file=sys.stderr, flush=True)
                    if kill.outcome == "unknown":
                        break
    return kills


def summary(kills: list[Kill]) -> dict[str, Any]:
    """By store and phase: how many, how many wrong, seconds to the first act and to the end."""
    table: dict[str, Any] = {}
    for store in sorted({kill.store for kill in kills}):
        for phase in PHASES:
            some = [kill for kill in kills if (kill.store, kill.phase) == (store, phase)]
            if some:
                table.setdefault(store, {})[phase] = {
                    "kills": len(some),
                    "wrong": sum(bool(kill.wrong) for kill in some),
                    "resumed_median_seconds": round(statistics.median(k.resumed_seconds for k in some), 2),
                    "resumed_worst_seconds": max(k.resumed_seconds for k in some),
                    "ended_median_seconds": round(statistics.median(k.ended_seconds for k in some), 2),
                    "ended_worst_seconds": max(k.ended_seconds for k in some),
                }
    return table


def show(table: dict[str, Any]) -> None:
    head = ("store", "phase", "kills", "wrong", "resumed", "worst", "ended", "worst")
    print("{:<11}{:<20}{:>6}{:>7}{:>10}{:>8}{:>8}{:>8}".format(*head))
    for store, phases in table.items():
        for phase, row in phases.items():
            print("{:<11}{:<20}{:>6}{:>7}{:>10}{:>8}{:>8}{:>8}".format(store, phase, *row.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further kill after so long")
    said = parser.parse_args()
    harness.PATIENCE = 180.0  # beside so much else, a start takes its time
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="watchkeeper-crash-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        plugin = folder / "site"
        uv, source = Path(sys.executable).with_name("uv"), ROOT / "tests" / "foreign" / "watchkeeper-ledger"
        install = [str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(plugin), str(source)]
        subprocess.run([*install, "--python", sys.executable], check=True)
        phases = list(islice(cycle(PHASES), said.kills // 2))
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(run, folder / s, s, phases, plugin, began + said.minutes * 60)
                for s in ("sqlite", "postgresql")
            ]
            kills = [kill for done in runs for kill in done.result()]
    table = summary(kills)
    show(table)
    wrong = [asdict(kill) for kill in kills if kill.wrong]
    for kill in wrong:
        print(kill)
    print(f"{len(kills)} kills, {len(wrong)} wrong, {time.monotonic() - began:.0f} s")
    if said.json:
        about = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "note": NOTE,
        }
        result = about | {"kills": len(kills), "wrong": wrong, "phases": table, "each": [asdict(k) for k in kills]}
        said.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
