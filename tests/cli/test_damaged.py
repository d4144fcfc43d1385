"""A store with rows that cannot be read: left out and told where that is harmless, else an error to act on."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Run, running
from tests.conftest import RedisServer
from tests.domain.making import T0
from watchkeeper.domain.change import Fingerprint
from watchkeeper.store import Store


@pytest.fixture
def data(tmp_path: Path, redis_server: RedisServer) -> Path:
    """The state of an `up` that has watched a Redis, and was stopped."""
    (tmp_path / "watchkeeper.yaml").write_text(
        "only: [cache]\nhosts: {local: {enabled: false}}\nresources:\n"
        f"- {{name: cache, kind: redis, url: '{redis_server.url}', environment: lab}}\n"
    )
    with running(tmp_path / "data") as up:
        up.until_line("What happens from here on")
        assert up.stop() == 0
    return tmp_path / "data"


def do(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / "watchkeeper.db")) as store, store:
        for statement in statements:
            store.execute(statement)


def test_readings_and_fingerprints_that_cannot_be_read_are_left_out_and_told(data: Path, run: Run) -> None:
    do(data, "UPDATE readings SET body = '0'", "UPDATE fingerprints SET body = '0'")
    with closing(sqlite3.connect(data / "watchkeeper.db")) as store:
        assert store.execute("SELECT count(*) FROM fingerprints").fetchone() == (1,), "there is something to be damaged"

    doctor = run("--data", str(data), "doctor", "--only", "cache")
    assert "rows that cannot be read: 1 of fingerprints, " in doctor.out
    assert " of readings" in doctor.out

    with running(data) as up:
        up.until_line("What happens from here on")
        told = up.until(lambda e: e["kind"] == "store.unreadable")
        assert "left out: 1 of fingerprints" in told["text"]
        with up.client as client:
            assert client.get("/api/resources/cache")["health"] == "HEALTHY"
        assert not any("Traceback" in line for line in up.lines)


@pytest.mark.parametrize("damage", ["0", json.dumps({"id": "inc-1"})])
def test_an_incident_that_cannot_be_read_ends_the_start_with_the_file_the_row_and_what_to_do(
    data: Path, run: Run, damage: str
) -> None:
    values = f"('inc-1', 'open', 'local/lab/redis/cache', '2026-01-01 00:00:00', '{damage}')"
    do(data, f"INSERT INTO incidents (id, status, root, at, body) VALUES {values}")

    with running(data) as up:
        assert up.process.wait(60) == 2
        up.until_line(f"The store {data}/watchkeeper.db holds a row that cannot be read")
        up.until_line("Put a backup in its place")
    assert not any("Traceback" in line for line in up.lines)
    assert any("incidents, inc-1: " in line for line in up.lines)

    doctor = run("--data", str(data), "doctor", "--only", "cache")
    assert doctor.code == 2
    assert "incidents, inc-1: " in doctor.out


def test_a_file_that_is_no_database_is_told_by_doctor_and_at_the_start(tmp_path: Path, run: Run) -> None:
    (tmp_path / "watchkeeper.yaml").write_text("only: [nothing]\nhosts: {local: {enabled: false}}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "watchkeeper.db").write_text("this was a store once " * 100)
    doctor = run("--data", str(tmp_path / "data"), "doctor")
    assert doctor.code == 2
    assert "cannot be read: file is not a database" in doctor.out
    with running(tmp_path / "data") as up:
        assert up.process.wait(60) == 2
        up.until_line("is no database")


async def test_what_is_left_out_is_written_anew_by_the_next_look(tmp_path: Path) -> None:
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'watchkeeper.db'}") as store:
        await store.save(Fingerprint("a/b/c/d", "1", {"x": "1"}, T0))
        do(tmp_path, "UPDATE fingerprints SET body = '0'")
        assert await store.find(Fingerprint, "a/b/c/d") is None
        assert await store.select(Fingerprint) == []
        await store.save(Fingerprint("a/b/c/d", "2", {"x": "2"}, T0))
        assert [one.incarnation for one in await store.select(Fingerprint)] == ["2"]
