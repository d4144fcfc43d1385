"""Files of records: few, whole, and bounded by age and size."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from watchkeeper.predictions import Shelf, tables


def table_of(rows: list[dict[str, Any]]) -> Any:
    return tables.read("records", "application/json", json.dumps(rows).encode(), time.time())[0]


def test_many_files_become_one_and_hold_the_same(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 30, 1 << 30)
    for n in range(20):
        shelf.write("bot", "records", table_of([{"id": f"r{n}"}]), f"p-{n}")
    day = datetime.now(UTC).date()
    before, _ = shelf.read("bot", "records", ["id"], day - timedelta(1), day)

    shelf.tidy(datetime.now(UTC))

    after, _ = shelf.read("bot", "records", ["id"], day - timedelta(1), day)
    assert sorted(after["id"].to_pylist()) == sorted(before["id"].to_pylist())
    holds = shelf.holds("bot")
    assert holds is not None
    assert holds.files <= 2  # of two days, where midnight passed just then


def test_the_oldest_days_go_first_by_age_and_by_size(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 30, 1 << 30)
    now = datetime.now(UTC)
    for ago in (1, 5, 10, 40):
        rows = [{"id": os.urandom(16).hex(), "at": (now - timedelta(days=ago)).isoformat()} for _ in range(500)]
        shelf.write("bot", "records", table_of(rows), "p-1")

    shelf.tidy(now)
    by_age = shelf.holds("bot")
    assert by_age is not None
    assert by_age.files == 3
    shelf.most = by_age.bytes - 1
    shelf.tidy(now)

    by_size = shelf.holds("bot")
    assert by_size is not None
    assert (by_size.files, by_size.last_day) == (2, (now - timedelta(days=1)).date().isoformat())
    assert shelf.forgotten == by_age.bytes - by_size.bytes


def test_files_that_an_older_server_wrote_are_read_and_joined_with_new_ones(tmp_path: Path) -> None:
    shelf, day = Shelf(tmp_path, 30, 1 << 30), datetime.now(UTC).date()
    for n in range(20):
        table = table_of([{"id": f"r{n}", "prediction": "card"} if n % 2 else {"id": f"r{n}", "ranking": ["a"]}])
        shelf.write("bot", "records", table.drop_columns(["ranking"]) if n % 2 else table, f"p-{n}")
    wanted = ["id", "ranking", "prediction"]

    def held() -> list[Any]:
        table, _ = shelf.read("bot", "records", wanted, day - timedelta(1), day)
        return sorted(table.to_pylist(), key=lambda row: int(row["id"][1:]))

    before = held()
    shelf.tidy(datetime.now(UTC))

    assert before[:2] == [
        {"id": "r0", "ranking": '["a"]', "prediction": None},
        {"id": "r1", "ranking": None, "prediction": "card"},
    ]
    assert len(before) == 20
    assert held() == before
