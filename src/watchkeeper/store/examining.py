"""A SQLite store looked through from outside, for `doctor`: nothing is changed, and it may be in use."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError
from sqlalchemy.engine import URL

from watchkeeper.domain import ConfigurationError
from watchkeeper.store import schema
from watchkeeper.store.transaction import TABLES, adapter
from watchkeeper.store.unreadable import ESSENTIAL, unreadable

MOST = 100_000
"""The newest rows of each table that are looked at: a tenth of a second."""
MOST_ESSENTIAL = 2_000
"""The newest that are read whole."""


def look_through(file: Path) -> tuple[str, str]:
    """What there is, in one sentence, and what of it is left out because it cannot be read (empty where nothing is).

    Raises ConfigurationError where `up` would not start with it.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=5.0)) as store:
            there = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for kind, table in ((kind, table.name) for kind, (table, _) in TABLES.items()):
                if kind in ESSENTIAL and table in there:
                    _all_readable(store, file, kind, table)
            others = [t for k, (t, _) in TABLES.items() if k not in ESSENTIAL] + [schema.readings, schema.resources]
            wrong = {
                name: n for name in sorted(t.name for t in others if t.name in there) if (n := _no_objects(store, name))
            }
            (incidents,) = store.execute("SELECT count(*) FROM incidents").fetchone() if "incidents" in there else (0,)
    except sqlite3.DatabaseError as problem:
        raise ConfigurationError(
            f"The store {file} cannot be read: {problem}.",
            "Put a backup in its place (docs/running.md), or move its directory away (mv) to begin with an empty one.",
        ) from None
    size = file.stat().st_size / 2**20
    said = f"{file}, {size:,.1f} MiB, {incidents:,} incident{'s' * (incidents != 1)}"
    return said, ", ".join(f"{number:,} of {table}" for table, number in wrong.items())


def _all_readable(store: sqlite3.Connection, file: Path, kind: type[Any], table: str) -> None:
    for key, body in _newest(store, table):
        try:
            adapter(kind).validate_python(json.loads(body))
        except (ValidationError, ValueError, TypeError) as problem:
            why = problem.errors()[0]["msg"] if isinstance(problem, ValidationError) else str(problem)
            raise unreadable(URL.create("sqlite", database=str(file)), f"{table}, {key}: {why}") from None


def _newest(store: sqlite3.Connection, table: str) -> Iterator[tuple[str, Any]]:
    yield from store.execute(f"SELECT id, body FROM {table} ORDER BY rowid DESC LIMIT {MOST_ESSENTIAL}")


def _no_objects(store: sqlite3.Connection, table: str) -> int:
    """How many rows hold something else than what we write there."""
    rows = f"SELECT body FROM {table} ORDER BY rowid DESC LIMIT {MOST}"
    wrong = "CASE WHEN json_valid(body) THEN json_type(body) <> 'object' ELSE 1 END"
    return int(store.execute(f"SELECT coalesce(sum({wrong}), 0) FROM ({rows})").fetchone()[0])
