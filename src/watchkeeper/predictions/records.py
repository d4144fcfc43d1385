"""Records and labels: taken once, kept as Parquet, joined when somebody asks."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any

from watchkeeper.domain import NotFound, now
from watchkeeper.predictions import arrow, joining, tables
from watchkeeper.predictions.intake import Intake, Push
from watchkeeper.predictions.joining import Joined, Judged
from watchkeeper.predictions.shelf import Holds, Shelf
from watchkeeper_monitor import Profile
from watchkeeper_monitor.onset import Change

_FIGURES = (
    *("id", "at", "version", "prediction", "value", "ranking", "confidence", "latency_seconds"),
    *("input_length", "segment", "escalated", "cost"),
)
_ALL = (*_FIGURES, "text", "features")


@dataclass(frozen=True, slots=True)
class Where:
    """Which records."""

    model: str
    since: datetime
    until: datetime
    version: str | None = None
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class TakenRows:
    """What became of a push of records or labels."""

    taken: bool
    rows: int
    rejected: Mapping[str, int] = field(default_factory=dict[str, int])
    """Rows that could not be kept, by reason."""


@dataclass(frozen=True, slots=True)
class Told:
    """What records and labels say of a model."""

    profile: Profile
    judged: Judged
    joined: Joined
    changes: list[Change]
    """Of accuracy, and of how good rankings are."""


class Records:
    """Raises NotInstalled where PyArrow is not there."""

    def __init__(self, intake: Intake, shelf: Shelf) -> None:
        self._intake = intake
        self.shelf = shelf

    async def take(
        self,
        model: str,
        kind: str,
        process: str | None,
        sequence: int | None,
        form: str,
        body: bytes,
        skew: float = 0.0,
    ) -> TakenRows:
        """Returns once it is on disk. `skew`: by how many seconds the sender's clock is ahead of ours.

        Raises Refused, NoRoom, Busy, Conflict, StoreAway.
        """
        arrow.part("")
        numbered = process is not None and sequence is not None
        if process is not None and sequence is not None and await self._intake.known(process) >= sequence:
            return TakenRows(taken=False, rows=0)
        table, told = await asyncio.to_thread(tables.read, kind, form, body, now().timestamp(), skew)
        name = f"{process}-{sequence:012d}" if numbered else f"sent-{blake2b(body, digest_size=16).hexdigest()}"
        if table.num_rows:
            await asyncio.to_thread(self.shelf.write, model, kind, table, name)
        who = process if numbered and process else blake2b(f"by hand {model}".encode(), digest_size=16).hexdigest()
        taken = await self._intake.take(Push(who, model, "", sequence if numbered else None))
        return TakenRows(taken.taken, table.num_rows, dict(told))

    def there(self, model: str) -> bool:
        return arrow.there() and self.shelf.has(model, "records")

    async def holds(self, model: str) -> Holds | None:
        return await asyncio.to_thread(self.shelf.holds, model)

    async def told(self, where: Where, version: str) -> Told:
        """`version`: what its profile is called."""
        return await asyncio.to_thread(self._told, where, version)

    def _told(self, where: Where, version: str) -> Told:
        found = self._joined(where, _FIGURES)
        judged = joining.judged(found.table, where.until)
        labels = found.labels
        judged.truth.repeated, judged.truth.conflicting = labels.repeated, labels.conflicting
        profile = joining.profiled(where.model, version, found.table, judged)
        return Told(profile, judged, found, joining.changes(found.table, judged))

    async def page(
        self, where: Where, limit: int, after: tuple[float, str] | None
    ) -> tuple[Sequence[Mapping[str, Any]], tuple[float, str] | None]:
        """Newest first; `after`: the cursor of the page before, the time and id of its last. Raises NotFound."""
        arrow.part("")
        if not self.shelf.has(where.model, "records"):
            raise NotFound(
                f"No records of {where.model} are kept.", "Its monitor sends them with Monitor(…, records=1.0)."
            )
        return await asyncio.to_thread(self._page, where, limit, after)

    def _page(
        self, where: Where, limit: int, after: tuple[float, str] | None
    ) -> tuple[Sequence[Mapping[str, Any]], tuple[float, str] | None]:
        table = self._joined(where, _ALL).table
        table = table.sort_by([("at", "descending"), ("id", "descending")])
        if after is not None:
            pc = arrow.part("compute")
            at = arrow.part("").scalar(datetime.fromtimestamp(after[0], UTC), table["at"].type)
            older = pc.less(table["at"], at)
            same = pc.and_(pc.equal(table["at"], at), pc.less(table["id"], after[1]))
            table = table.filter(pc.or_(older, same))
        found: list[Mapping[str, Any]] = table.slice(0, limit).to_pylist()
        if table.num_rows <= limit:
            return found, None
        return found, (found[-1]["at"].timestamp(), found[-1]["id"])

    def _joined(self, where: Where, columns: Sequence[str]) -> Joined:
        pa, pc = arrow.part(""), arrow.part("compute")
        records, truncated = self.shelf.read(where.model, "records", columns, where.since.date(), where.until.date())
        kind = records.schema.field("at").type
        since, until = pa.scalar(where.since, kind), pa.scalar(where.until, kind)
        records = records.filter(pc.and_(pc.greater_equal(records["at"], since), pc.less_equal(records["at"], until)))
        if where.version is not None:
            records = records.filter(pc.equal(records["version"], where.version))
        if where.segment is not None:
            records = records.filter(pc.equal(records["segment"], where.segment))
        labels, _ = self.shelf.read(where.model, "labels", ("id", "at", "label"), date.min, date.max)
        every, _ = self.shelf.read(where.model, "records", ("id",), date.min, date.max)
        return joining.joined(records, labels, every, truncated=truncated)
