"""`watchkeeper logs`: of one, of all, and as they come."""

import os
import sqlite3
import subprocess
from datetime import UTC, datetime

from tests.cli.conftest import QUICK, WATCHKEEPER, Run, Shop


def keep(shop: Shop, *lines: tuple[str, str, str]) -> None:
    """As if they had been read: resource, level, text."""
    at = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
    with sqlite3.connect(shop.up.data / "watchkeeper.db", timeout=60) as store:
        rows = [(resource, at, level, text) for resource, level, text in lines]
        store.executemany("INSERT INTO logs (resource, at, level, text) VALUES (?, ?, ?, ?)", rows)
    store.close()


def test_the_logs_of_all_are_searched_and_those_of_one_stand_alone(run: Run, shop: Shop) -> None:
    cache = next(one["id"] for one in run("status", "--json", *shop.where).json["items"] if one["slug"] == "cache")
    keep(shop, (cache, "WARNING", "quince: slow"), ("docker/lab/gone/far", "ERROR", "QUINCE: over"))

    every = run("logs", "--text", "quince", *shop.where).out.splitlines()
    worse = run("logs", "--text", "quince", "--level", "error", *shop.where).out.splitlines()
    of_one = run("logs", "cache", "--text", "quince", "--json", *shop.where).json["items"]
    none = run("logs", "cache", "--text", "nothing of the kind", *shop.where)

    assert [line.split(" ", 1)[1].split() for line in every] == [
        ["cache", "WARNING", "quince:", "slow"],
        ["far", "ERROR", "QUINCE:", "over"],
    ]
    assert len(worse) == 1
    assert [line["text"] for line in of_one] == ["quince: slow"]
    assert "No such lines" in none.out
    assert run("logs", "--templates", *shop.where).code == 2


def test_the_logs_of_all_are_followed(shop: Shop) -> None:
    keep(shop, ("docker/lab/gone/far", "ERROR", "medlar: first"))
    process = subprocess.Popen(
        [str(WATCHKEEPER), "logs", "--follow", "--text", "medlar", *shop.where],
        env={**os.environ, **QUICK, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        cwd=shop.up.data.parent,
    )
    try:
        assert process.stdout is not None
        assert "medlar: first" in process.stdout.readline()
        keep(shop, ("docker/lab/gone/far", "ERROR", "medlar: second"))
        assert "medlar: second" in process.stdout.readline()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
