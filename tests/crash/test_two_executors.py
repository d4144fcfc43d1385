"""Two executors on one PostgreSQL: each looks after its share, and over that of the other when it dies."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, start_redis
from tests.crash.harness import Server
from tests.postgres import Postgres

pytestmark = pytest.mark.crash
NAMES = ("books", "accounts", "debts", "wages")
OVER = ("incident.closed", "incident.escalated")


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[dict[str, RedisServer]]:
    started: dict[str, RedisServer] = {}
    for name in NAMES:
        (tmp_path / name).mkdir()
        started[name] = start_redis(tmp_path / name)
    yield started
    for server in started.values():
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture
def make(
    tmp_path: Path, plugin: Path, postgres: Postgres, ledgers: dict[str, RedisServer]
) -> Iterator[Callable[..., Server]]:
    """Another executor on the same store, with a data directory of its own."""
    url = postgres.database()
    made: list[Server] = []

    def another(mode: str = "auto") -> Server:
        home = tmp_path / f"home{len(made)}"
        home.mkdir()
        config = home / "watchkeeper.yaml"
        lines = [f"mode: {mode}", f"store: {url}", f"only: [{', '.join(NAMES)}]", "resources:"]
        for name, server in ledgers.items():
            lines.append(f"  - {{name: {name}, kind: ledger, url: '{server.url}', environment: lab, act: true}}")
        config.write_text("\n".join(lines))
        server = Server(home / "data", config, {"PYTHONPATH": str(plugin), "LEDGER_DIE": str(home / "die")})
        made.append(server)
        return server.start()

    yield another
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.process.send_signal(signal.SIGCONT)
        server.stop()


def shares(server: Server) -> dict[str, str]:
    """Who holds each resource."""
    page = server.get("/api/resources/status")
    return {item["slug"]: item["holder"] for item in page["items"]}


def shared_out(one: Server, two: Server) -> tuple[list[str], list[str]]:
    """Once each of the two holds half, what each holds."""
    one.until(lambda event: event["kind"] == "server.started")
    two.until(lambda event: event["kind"] == "server.started")
    me, other = me_of(one), me_of(two)
    held: list[list[str]] = []

    def half(_: Any) -> bool:
        now = shares(one)
        held[:] = [[name for name, holder in now.items() if holder == who] for who in (me, other)]
        return [len(part) for part in held] == [2, 2]

    one.poll(half)
    return held[0], held[1]


def me_of(server: Server) -> str:
    server.until(lambda event: event["kind"] == "server.started")
    (me,) = [member["id"] for member in server.get("/api/resources/status")["executors"] if member["here"]]
    return me


def acted(redis: RedisServer, tool: str = "ledger_mend") -> int:
    return int(redis.client().get(f"done:{tool}") or 0)


def test_each_resource_is_looked_at_by_one_and_any_of_them_answers_for_all(
    make: Callable[..., Server], ledgers: dict[str, RedisServer]
) -> None:
    one, two = make("approve"), make("approve")
    mine, others = shared_out(one, two)
    assert sorted([*mine, *others]) == sorted(NAMES)
    two.poll(lambda _: shares(one) == shares(two))
    name = others[0]
    ledgers[name].client().set("fault", "broken")
    asked = one.until_kind("approval.requested")  # the other's incident, heard of here
    shown = next(item for item in one.get("/api/resources/status")["items"] if item["slug"] == name)
    assert shown["holder"] == me_of(two)
    path = f"/api/incidents/{asked['incident']}"
    assert one.post(f"{path}/stop", {}).json()["status"] == "escalated"  # a row, which the other heeds
    assert one.post(f"{path}/retry", {}).status_code == 200
    asked = one.until_kind("approval.requested", after=asked["seq"])
    assert one.post(f"/api/approvals/{asked['subject']}/approve", {}).status_code == 200
    one.until_kind("incident.closed", after=asked["seq"])
    assert acted(ledgers[name]) == 1
    answer = one.post("/api/fixes/trigger", {"resource": others[1]})
    assert answer.status_code == 409, answer.text  # asked of the other: nothing is wrong with it
    assert "Nothing is wrong" in answer.text
    answer = one.post(f"/api/fixes/{one.fixes()[0]['id']}/undo", {})  # asked of the other, too
    assert answer.status_code == 409, answer.text
    assert "ledger_mend has no undo" in answer.text


@pytest.mark.parametrize("moment", ["ledger_mend:before", "ledger_mend:after"])
def test_one_that_dies_in_the_middle_of_a_fix_is_succeeded_and_nothing_is_done_twice(
    moment: str, make: Callable[..., Server], ledgers: dict[str, RedisServer]
) -> None:
    one, two = make(), make()
    mine, _ = shared_out(one, two)
    (one.data.parent / "die").write_text(moment)
    ledgers[mine[0]].client().set("fault", "broken")
    assert one.died() == -9
    over = two.until_kind(*OVER)
    assert over["kind"] == "incident.closed", over
    assert two.incident()["outcome"] == "healed"
    assert acted(ledgers[mine[0]]) == 1
    assert len(two.fixes()) == 1
    two.poll(lambda _: set(shares(two).values()) == {me_of(two)})


def test_one_that_only_stood_still_does_nothing_more_when_it_wakes(
    make: Callable[..., Server], ledgers: dict[str, RedisServer]
) -> None:
    one, two = make(), make()
    mine, _ = shared_out(one, two)
    name = mine[0]
    (one.data.parent / "die").write_text("ledger_mend:before still")
    ledgers[name].client().set("fault", "broken")
    two.until_kind("executor.lost")
    two.until_kind(*OVER)
    assert one.process is not None
    os.kill(one.process.pid, signal.SIGCONT)
    assert one.died() == 3
    assert acted(ledgers[name]) == 1
    assert two.incident()["status"] == "closed"
    assert len(two.fixes()) == 1


def test_one_that_is_stopped_gives_its_share_at_once(make: Callable[..., Server]) -> None:
    one, two = make(), make()
    shared_out(one, two)
    one.stop()
    two.until_kind("executor.left")
    two.poll(lambda _: set(shares(two).values()) == {me_of(two)})


def test_a_pause_holds_for_all_of_them(make: Callable[..., Server], ledgers: dict[str, RedisServer]) -> None:
    one, two = make(), make()
    mine, _ = shared_out(one, two)
    assert two.post("/api/pause", {}).status_code == 200
    ledgers[mine[0]].client().set("fault", "broken")
    held = two.until_kind("incident.held")
    assert acted(ledgers[mine[0]]) == 0
    assert two.post("/api/resume", {}).status_code == 200
    two.until_kind("incident.closed", after=held["seq"])
    assert acted(ledgers[mine[0]]) == 1
