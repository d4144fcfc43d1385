"""Reads everything that the desk acknowledged back: tickets, drafts and sessions as they were, and each mail either
sent or still to be."""

from collections.abc import Sequence

import psycopg

from watchkeeper_lab.audit import Audit, batches, lost_in_redis
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.ledger import Ledger, Write, digest
from watchkeeper_lab.redis_link import Command, redis_link

JOBS, VIEWS, SESSIONS = 0, 3, 5
"""The databases of Redis."""
STEP_SECONDS = 10.0


async def audit(ledger: Ledger, instance: Instance) -> Audit:
    """Compare the ledger with what is stored; raises `redis.RedisError` or `psycopg.Error` where a store is silent."""
    expected = ledger.expected()
    tickets = [write for write in expected if write.kind == "ticket"]
    jobs = [write for write in expected if write.kind == "job"]
    others = [write for write in expected if write.kind not in ("ticket", "job")]
    async with redis_link(instance.redis, timeout=STEP_SECONDS, database=SESSIONS) as link:
        lost = await lost_in_redis(others, link)
    lost += await _lost_tickets(tickets, instance)
    lost += await _lost_jobs(jobs, instance)
    if lost:  # a session may have ended while we were reading: only what is still expected counts
        still = set(ledger.expected())
        lost = [write for write in lost if write in still]
    return Audit(len(expected), tuple(lost))


async def _lost_tickets(writes: Sequence[Write], instance: Instance) -> list[Write]:
    if not writes:
        return []
    url = instance.database_url_of("tickets")
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=3) as connection:
        wanted = ([int(write.key) for write in writes],)
        rows = await connection.execute("SELECT id, subject FROM tickets WHERE id = ANY(%s)", wanted)
        kept = {str(row[0]): digest(str(row[1])) for row in await rows.fetchall()}
    return [write for write in writes if kept.get(write.key) != write.digest]


async def _lost_jobs(writes: Sequence[Write], instance: Instance) -> list[Write]:
    """Neither carried out nor there to be. What waits is asked for first: it may be carried out meanwhile."""
    waiting: set[str] = set()
    async with redis_link(instance.redis, timeout=STEP_SECONDS, database=JOBS) as link:
        for batch in batches(writes):
            commands: list[Command] = [("EXISTS", f"rq:job:{write.key}") for write in batch]
            answers = await link.send_all(commands)
            waiting |= {write.key for write, answer in zip(batch, answers, strict=True) if answer == 1}
    gone = [write for write in writes if write.key not in waiting]
    if not gone:
        return []
    url = instance.database_url_of("mailroom")
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=3) as connection:
        found = await connection.execute("SELECT job FROM outbox WHERE job = ANY(%s)", ([one.key for one in gone],))
        sent = {row[0] for row in await found.fetchall()}
    return [write for write in gone if write.key not in sent]
