"""A primary that Sentinels watch is theirs first: while they have their time nothing is done, and then it is."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import PATIENCE, Up, running
from tests.conftest import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="why a process ended is told to root alone")
CONF = """\
sentinel monitor carts 127.0.0.1 {port} 2
sentinel down-after-milliseconds carts 4000
sentinel failover-timeout carts 90000
"""


@dataclass
class Trio:
    """Two servers, one of them a replica at first, and three Sentinels."""

    folder: Path
    ports: tuple[int, int]
    sentinels: tuple[int, ...]
    processes: dict[int, "subprocess.Popen[bytes]"]

    def begin(self, port: int, *options: str) -> None:
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        if port in self.sentinels:
            (folder / "sentinel.conf").write_text(CONF.format(port=self.ports[0]))
            command = ["redis-server", "sentinel.conf", "--sentinel", "--port", str(port)]
        else:
            command = ["redis-server", "--port", str(port), "--save", "", "--repl-diskless-sync-delay", "0", *options]
        with (folder / "log").open("ab") as log:
            self.processes[port] = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    def kill(self, port: int) -> None:
        self.processes[port].kill()
        self.processes[port].wait()

    def ask(self, port: int, *command: str) -> str:
        done = subprocess.run(
            ["redis-cli", "-p", str(port), *command], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        return done.stdout.strip()

    @property
    def primary(self) -> int:
        """As the last of the Sentinels sees it."""
        said = self.ask(self.sentinels[-1], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "carts").split()
        return int(said[1]) if len(said) == 2 else 0

    def until_promoted(self, former: int) -> None:
        """Another is the primary. Sentinels that did not agree on which of them acts would try again only after
        minutes: they are told to, then."""
        patient = time.monotonic() + 30

        def promoted() -> bool:
            if time.monotonic() > patient:
                self.ask(self.sentinels[-1], "SENTINEL", "FAILOVER", "carts")
            return self.primary not in (0, former)

        until(promoted)

    def agreed(self) -> bool:
        """Each Sentinel knows the others and a replica that could be promoted."""
        return all(
            self.ask(port, "SENTINEL", "CKQUORUM", "carts").startswith("OK 3 usable")
            and "\nmaster-link-status\nok" in self.ask(port, "SENTINEL", "REPLICAS", "carts")
            for port in self.sentinels
        )


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    ports = [free_port() for _ in range(5)]
    made = Trio(tmp_path_factory.mktemp("sentinel"), (ports[0], ports[1]), tuple(ports[2:]), {})
    try:
        made.begin(ports[0])
        made.begin(ports[1], "--replicaof", "127.0.0.1", str(ports[0]))
        for port in made.sentinels:
            made.begin(port)
        until(made.agreed)
        yield made
    finally:
        for port, process in made.processes.items():
            process.kill()
            process.wait()
            if port in made.ports:  # what was started again is not ours to wait for
                made.ask(port, "SHUTDOWN", "NOSAVE")


@pytest.fixture(scope="module")
def up(trio: Trio) -> Iterator[Up]:
    servers = [f"redis-{port}" for port in trio.ports]
    sentinels = [
        {"name": f"s{number}", "kind": "sentinel", "url": f"redis://127.0.0.1:{port}", "environment": "lab"}
        for number, port in enumerate(trio.sentinels)
    ]
    said = {
        "mode": "auto",
        "only": [*(f"local/*/*/{name}" for name in servers), "local/lab/sentinel/s*"],
        "hosts": {"local": {"enabled": True, "environment": "lab", "act": True}},
        "resources": sentinels,
    }
    (trio.folder / "watchkeeper.yaml").write_text(yaml.safe_dump(said))
    slower = {"WATCHKEEPER_WATCH__INTERVAL": "1", "WATCHKEEPER_HOSTS__LOCAL__ENABLED": "true"}  # most of it is waiting
    with running(trio.folder / "data", **slower) as up:
        up.until_line("What happens from here on")
        until(lambda: sum(one["health"] == "HEALTHY" for one in resources(up).values()) == 7)
        yield up


def resources(up: Up) -> dict[str, Any]:
    with up.client as asked:
        return {one["id"]: one for one in asked.get("/api/resources/status")["items"]}


def until(what: Callable[[], bool], up: Up | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, up.lines[-30:] if up else what
        time.sleep(0.25)


def of(kind: str, incident: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["kind"] == kind and event["incident"] == incident


def fixes(up: Up) -> list[dict[str, Any]]:
    with up.client as asked:
        return asked.get("/api/fixes")["items"]


def test_a_failover_is_waited_for_and_nothing_is_done(trio: Trio, up: Up) -> None:
    first = trio.primary
    tended = resources(up)[f"local/lab/redis/redis-{first}"]["tended_by"]
    assert tended == ["Sentinel (carts, 3 of them, quorum 2): given 94 s to bring it back where it ends or hangs"]
    assert resources(up)[f"local/lab/service/redis-{first}"]["tended_by"] == tended
    with up.client as asked, pytest.raises(Exception, match="Let it fail over first"):
        asked.post("/api/mcp/tools/redis_restart", {"resource": f"redis-{first}", "arguments": {}})

    trio.kill(first)
    held = up.until(lambda event: event["kind"] == "incident.held")
    assert "Sentinel (carts, 3 of them, quorum 2) is given 94 s" in held["text"]
    trio.until_promoted(first)
    trio.begin(first)  # whoever looks after its process, at last
    until(lambda: "role:slave" in trio.ask(first, "INFO", "replication"))
    closed = up.until(of("incident.closed", held["incident"]))
    assert "recovered" in closed["text"]
    assert fixes(up) == []


def test_where_they_cannot_it_is_started_after_their_time(trio: Trio, up: Up) -> None:
    until(lambda: all(one["health"] == "HEALTHY" for one in resources(up).values()))
    first = trio.primary
    for port in trio.sentinels:
        trio.ask(port, "SENTINEL", "SET", "carts", "failover-timeout", "2000")
    until(lambda: "given 6 s" in str(resources(up)[f"local/lab/redis/redis-{first}"]["tended_by"]))
    for port in trio.sentinels[:2]:
        trio.processes[port].send_signal(signal.SIGKILL)
    up.until(lambda event: event["kind"] == "alert.firing" and "sentinel-quorum-lost" in event["text"])

    trio.kill(first)
    until(lambda: "role:master" in trio.ask(first, "INFO", "replication"), up)
    until(lambda: any(fix["verdict"] for fix in fixes(up)), up)
    (fix,) = fixes(up)
    assert fix["verdict"]["outcome"] == "healed", fix["verdict"]["reasons"]
    assert {step["tool"] for step in fix["plan"]["steps"]} <= {"service_start", "redis_restart"}
