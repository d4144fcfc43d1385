"""The rows of profiles and of the processes that push them, in the store."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.predictions.buckets import DAY, Bucket
from watchkeeper.store import schema
from watchkeeper_monitor import Profile

_profiles, _senders = schema.model_profiles, schema.model_senders


@dataclass(frozen=True, slots=True)
class Sender:
    """A process that pushes, as its last push told."""

    id: str
    model: str
    version: str
    sequence: int
    """Of its last push that was taken."""
    began_at: datetime
    seen_at: datetime
    host: str
    pid: int
    every: float
    """Seconds between two pushes."""
    predictions: int
    """Since it began."""
    predictions_per_second: float
    cpu_ratio: float
    memory_bytes: int
    dropped: int
    waiting: int
    lost_pushes: int
    """What it let go because too much waited, as it says."""
    lost_rows: int
    refused: int
    missed: int
    """Numbers that were passed over: pushes that never came here."""
    skew_seconds: float
    """How far its clock is ahead of ours."""

    def alive(self, now: datetime) -> bool:
        """Whether it is there: whoever has nothing to tell says so every 30 s."""
        return (now - self.seen_at).total_seconds() <= max(90.0, 3 * self.every)

    def serves(self, now: datetime) -> bool:
        """Whether it is a replica that is there: who only sends labels or records has said nothing of itself."""
        return self.alive(now) and bool(self.host or self.pid or self.predictions)

    def row(self) -> dict[str, Any]:
        body = asdict(self)
        body["began_at"] = self.began_at.timestamp()
        for name in ("id", "model", "version", "sequence", "seen_at"):
            del body[name]
        return {
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "sequence": self.sequence,
            "seen_at": self.seen_at,
            "body": body,
        }

    @classmethod
    def of(cls, row: Any) -> "Sender":
        body = dict(row["body"])
        body["began_at"] = datetime.fromtimestamp(body["began_at"], UTC)
        named = {name: row[name] for name in ("id", "model", "version", "sequence", "seen_at")}
        return cls(**named, **body)


def packed(profile: Profile) -> bytes:
    return zlib.compress(json.dumps(profile.to_dict()).encode("utf-8", "surrogatepass"), 1)


def unpacked(body: bytes) -> Profile:
    return Profile.from_dict(json.loads(zlib.decompress(body)))


async def senders(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Sender]:
    found = await connection.execute(sa.select(_senders).where(_senders.c.id.in_(ids)))
    return {row["id"]: Sender.of(row) for row in found.mappings()}


async def put_sender(connection: AsyncConnection, sender: Sender, *, known: bool) -> None:
    row = sender.row()
    if known:
        await connection.execute(sa.update(_senders).where(_senders.c.id == sender.id).values(**row))
    else:
        await connection.execute(sa.insert(_senders).values(**row))


async def body_of(connection: AsyncConnection, model: str, version: str, of: Bucket) -> bytes | None:
    query = sa.select(_profiles.c.body).where(*_at(model, version, of))
    return (await connection.execute(query)).scalar_one_or_none()


async def put_body(connection: AsyncConnection, model: str, version: str, of: Bucket, body: bytes) -> None:
    changed = await connection.execute(sa.update(_profiles).where(*_at(model, version, of)).values(body=body))
    if changed.rowcount == 0:
        row = {"model": model, "version": version, "at": of.at, "seconds": of.seconds, "body": body}
        await connection.execute(sa.insert(_profiles).values(**row))


async def delete_body(connection: AsyncConnection, model: str, version: str, of: Bucket) -> None:
    await connection.execute(sa.delete(_profiles).where(*_at(model, version, of)))


def _at(model: str, version: str, of: Bucket) -> tuple[sa.ColumnElement[bool], ...]:
    table = _profiles.c
    return table.model == model, table.version == version, table.at == of.at, table.seconds == of.seconds


def rows_of(model: str, version: str | None, since: datetime) -> sa.Select[Any]:
    """The rows that may reach past `since`, newest first."""
    table = _profiles
    query = sa.select(table).where(table.c.model == model, table.c.at > since - timedelta(seconds=DAY))
    if version is not None:
        query = query.where(table.c.version == version)
    return query.order_by(table.c.at.desc(), table.c.seconds)


def unnamed(process: str, model: str, at: datetime) -> Sender:
    """A process that sends rows, and has said nothing of itself."""
    return Sender(
        id=process,
        model=model,
        version="",
        sequence=0,
        began_at=at,
        seen_at=at,
        host="",
        pid=0,
        every=30.0,
        predictions=0,
        predictions_per_second=0.0,
        cpu_ratio=0.0,
        memory_bytes=0,
        dropped=0,
        waiting=0,
        lost_pushes=0,
        lost_rows=0,
        refused=0,
        missed=0,
        skew_seconds=0.0,
    )


def followed(before: Sender | None, new: Sender) -> Sender:
    """The new one with what only the one before knows."""
    if before is None:
        return replace(new, missed=max(0, new.sequence - 1))
    return replace(
        new,
        predictions=before.predictions + new.predictions,
        missed=before.missed + new.sequence - before.sequence - 1,
        began_at=before.began_at,
    )
