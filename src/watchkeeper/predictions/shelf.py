"""Records and labels as Parquet, a folder for each model and day: DuckDB and Polars read them where they lie.

`FOLDER/MODEL/records/day=2026-11-22/*.parquet`. A file is there whole or not at all. All of this blocks: call it in a
thread.
"""

import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog

from watchkeeper.domain import WatchkeeperError
from watchkeeper.predictions.arrow import Table, part
from watchkeeper.predictions.tables import schema_of

log = structlog.get_logger(__name__)
KINDS = ("records", "labels")
MANY = 16
"""Files of one day that are made one."""
MOST_ROWS = 2_000_000
"""Rows read at once: the newest days."""


class NoRoom(WatchkeeperError):
    """Nothing was written, and nothing that was written before has suffered."""

    status = HTTPStatus.INSUFFICIENT_STORAGE.value


@dataclass(frozen=True, slots=True)
class Holds:
    """What there is of one model."""

    bytes: int
    files: int
    first_day: str
    last_day: str


@dataclass(slots=True)
class Shelf:
    folder: Path
    days: float
    """For how long files are kept."""
    most: int
    """Bytes of all models together."""
    refused: int = 0
    """Pushes that found no room, since the start."""
    forgotten: int = 0
    """Bytes let go because there was too much, since the start."""
    _moving: threading.Lock = field(default_factory=threading.Lock)
    """Held while files are replaced or taken away: a reader must not find half of them."""

    def write(self, model: str, kind: str, table: Table, name: str) -> None:
        """`name`: the same for a push that comes again, so that it replaces itself. Raises NoRoom."""
        days = part("compute").strftime(table["at"], format="%Y-%m-%d")
        try:
            place = self._place(model)
            for day in sorted(set(days.to_pylist())):
                rows = table.filter(part("compute").equal(days, day)) if len(days.unique()) > 1 else table
                self._put(place / kind / f"day={day}", name, rows)
        except OSError as problem:
            self.refused += 1
            raise NoRoom(
                f"{kind.capitalize()} cannot be written to {self.folder}: {problem.strerror or problem}.",
                "Make room, or keep less: predictions.records_bytes.",
            ) from None

    def _put(self, folder: Path, name: str, rows: Table) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{name}.{secrets.token_hex(4)}.part"
        try:
            part("parquet").write_table(rows, path, compression="zstd")
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            path.replace(folder / f"{name}.parquet")
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise

    def read(self, model: str, kind: str, columns: Sequence[str], since: date, until: date) -> tuple[Table, bool]:
        """The rows of these days, in no order, and whether older ones were left out for there were too many."""
        pa = part("")
        found: list[Any] = []
        rows = 0
        with self._moving:
            for day, folder in reversed(list(self._days(model, kind))):
                if not since <= day <= until:
                    continue
                if rows > MOST_ROWS:
                    return pa.concat_tables(found), True
                for path in _files(folder):
                    try:
                        table = _table(path, kind, columns)
                    except (OSError, pa.ArrowException) as problem:
                        log.warning("a file of predictions cannot be read", path=str(path), problem=str(problem)[:200])
                        continue
                    rows += table.num_rows
                    found.append(table)
        schema = schema_of(kind)
        empty = pa.schema([schema.field(name) for name in columns]).empty_table()
        return pa.concat_tables([empty, *found]), False

    def has(self, model: str, kind: str) -> bool:
        return any(True for _ in self._days(model, kind))

    def holds(self, model: str) -> Holds | None:
        days = [each for kind in KINDS for each in self._days(model, kind)]
        files = [path for _, folder in days for path in _files(folder)]
        if not files:
            return None
        names = sorted(day.isoformat() for day, _ in days)
        return Holds(sum(_size(path) for path in files), len(files), names[0], names[-1])

    # Tidying ---------------------------------------------------------------------------------------------------------

    def tidy(self, now: datetime) -> None:
        """One file for a day of many; nothing older or larger than is kept."""
        oldest = (now - timedelta(days=self.days)).date()
        days = [each for model in self._models() for kind in KINDS for each in _days(model / kind)]
        for day, folder in days:
            if day < oldest:
                with self._moving:
                    shutil.rmtree(folder, ignore_errors=True)
            else:
                self._join(folder, folder.parent.name)
        self._bound()

    def _join(self, folder: Path, kind: str) -> None:
        for left in folder.glob("*.part"):
            with suppress(OSError):
                if datetime.now(UTC).timestamp() - left.stat().st_mtime > 3600:
                    left.unlink()
        files = _files(folder)
        if len(files) < MANY:
            return
        pa = part("")
        try:
            table = pa.concat_tables([_table(path, kind, schema_of(kind).names) for path in files]).sort_by("at")
            with self._moving:
                self._put(folder, f"joined-{secrets.token_hex(8)}", table)
                for path in files:  # killed here, rows are there twice: they are told apart by their ids
                    path.unlink(missing_ok=True)
        except (OSError, pa.ArrowException) as problem:
            log.warning("files of predictions could not be joined", folder=str(folder), problem=str(problem)[:200])

    def _bound(self) -> None:
        every = [(day, folder) for model in self._models() for kind in KINDS for day, folder in _days(model / kind)]
        total = sum(_size(path) for _, folder in every for path in _files(folder))
        for _, folder in sorted(every):
            for path in _files(folder):
                if total <= self.most:
                    return
                size = _size(path)
                with self._moving:
                    path.unlink(missing_ok=True)
                total -= size
                self.forgotten += size
            with suppress(OSError):
                folder.rmdir()

    # Where ------------------------------------------------------------------------------------------------------------

    def _place(self, model: str) -> Path:
        """The folder of a model, with its name in it."""
        place = self.place(model)
        if not (place / "model.json").exists():
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            (place / "model.json").write_text(json.dumps({"model": model}))
        return place

    def place(self, model: str) -> Path:
        """The name itself where it is plain, so that people find it."""
        if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", model):
            return self.folder / model
        plain = re.sub(r"[^\w.-]", "_", model)[:60]
        return self.folder / f"{plain}~{blake2b(model.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"

    def _models(self) -> list[Path]:
        with suppress(OSError):
            return sorted(path for path in self.folder.iterdir() if path.is_dir())
        return []

    def _days(self, model: str, kind: str) -> list[tuple[date, Path]]:
        return list(_days(self.place(model) / kind))


def _days(folder: Path) -> Iterator[tuple[date, Path]]:
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            with suppress(ValueError):
                yield date.fromisoformat(path.name.removeprefix("day=")), path


def _table(path: Path, kind: str, columns: Sequence[str]) -> Table:
    """What older files lack is null."""
    pa, schema = part(""), schema_of(kind)
    with part("parquet").ParquetFile(path) as file:
        table = file.read(columns=[name for name in columns if name in file.schema_arrow.names])
    there = [table[name] if name in table.schema.names else pa.nulls(table.num_rows) for name in columns]
    wanted = pa.schema([schema.field(name) for name in columns])
    return pa.table([column.cast(field.type) for column, field in zip(there, wanted, strict=True)], schema=wanted)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
