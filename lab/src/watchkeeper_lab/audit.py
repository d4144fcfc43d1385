"""Reads everything that was acknowledged back, straight from Redis and PostgreSQL."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from watchkeeper_lab.instance import Instance
from watchkeeper_lab.ledger import Ledger, Write, digest
from watchkeeper_lab.redis_link import Command, RedisLink, redis_link

BATCH = 200


@dataclass(frozen=True, slots=True)
class Audit:
    """How many acknowledged writes were looked for, and those that are gone or differ."""

    checked: int
    lost: tuple[Write, ...]

    def summary(self) -> str:
        """For a person: what was lost, by kind."""
        kinds = sorted({write.kind for write in self.lost})
        counts = ", ".join(f"{sum(write.kind == kind for write in self.lost)} {kind}s" for kind in kinds)
        return (
            f"{len(self.lost)} of {self.checked} acknowledged writes are gone ({counts})"
            if self.lost
            else "nothing lost"
        )


async def audit(ledger: Ledger, instance: Instance) -> Audit:
    """Compare the ledger with what is stored; raises `redis.RedisError` or `psycopg.Error` where a store is silent."""
    expected = ledger.expected()
    orders = [write for write in expected if write.kind == "order"]
    others = [write for write in expected if write.kind != "order"]
    async with redis_link(instance.redis, timeout=10.0) as link:
        lost = [*await lost_in_redis(others, link), *await _lost_in_postgres(orders, instance.database_url)]
    if lost:  # a cart may have been checked out while we were reading: only what is still expected counts
        still = set(ledger.expected())
        lost = [write for write in lost if write in still]
    return Audit(len(expected), tuple(lost))


async def lost_in_redis(writes: Sequence[Write], link: RedisLink) -> list[Write]:
    """Those of these that are gone or differ."""
    lost: list[Write] = []
    for batch in batches(writes):
        commands: list[Command] = [("HGET", w.key, w.field) if w.field else ("GET", w.key) for w in batch]
        for write, answer in zip(batch, await link.send_all(commands), strict=True):
            if isinstance(answer, Exception):
                raise answer
            if answer is None or digest(answer) != write.digest:
                lost.append(write)
    return lost


async def _lost_in_postgres(writes: Sequence[Write], database_url: str) -> list[Write]:
    if not writes:
        return []
    async with await psycopg.AsyncConnection.connect(database_url, connect_timeout=3) as connection:
        wanted = ([write.key for write in writes],)
        rows = await connection.execute("SELECT id, total_cents FROM orders WHERE id = ANY(%s)", wanted)
        kept = {str(row[0]): digest(str(row[1])) for row in await rows.fetchall()}
    return [write for write in writes if kept.get(write.key) != write.digest]


def batches(writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    """In portions that a store answers at once."""
    for start in range(0, len(writes), BATCH):
        yield writes[start : start + BATCH]
