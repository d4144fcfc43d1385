"""The bot's two stores: answers it gave before in Redis, customers and what a person has to see to in PostgreSQL.

Both are the shop's. The bot answers without either: it is a moment slower, and does not know who asks.
"""

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from .answer import Answer

log = logging.getLogger("support-bot")
PATIENCE = 2.0
"""Seconds that it waits for a store before it answers without."""
KEPT_SECONDS = 600
UNKNOWN = "unknown"
SCHEMA = """
SELECT pg_advisory_xact_lock(1);
CREATE TABLE IF NOT EXISTS bank_customers (id integer PRIMARY KEY, name text NOT NULL, plan text NOT NULL);
CREATE TABLE IF NOT EXISTS bank_escalations (
    id text PRIMARY KEY, customer integer NOT NULL, question text NOT NULL, intent text NOT NULL,
    confidence real NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO bank_customers SELECT i, 'Customer ' || i, (ARRAY['basic', 'basic', 'basic', 'plus', 'metal'])[1 + i % 5]
    FROM generate_series(1, 1000) AS i ON CONFLICT DO NOTHING;
"""


@dataclass(frozen=True, slots=True)
class Stores:
    """Both, open."""

    redis: "Redis"
    database: "AsyncConnectionPool[psycopg.AsyncConnection[Any]]"

    async def known(self, version: str, question: str) -> Answer | None:
        """What this version answered to the very same question before."""
        try:
            found = await self._send("GET", _key(version, question))
        except (RedisError, OSError) as problem:
            log.warning("no answer is taken from the cache: %s: %s", type(problem).__name__, problem)
            return None
        return Answer(**json.loads(found)) if found else None

    async def keep(self, version: str, question: str, answer: Answer) -> None:
        """For the next one who asks it."""
        try:
            await self._send("SET", _key(version, question), json.dumps(asdict(answer)), "EX", KEPT_SECONDS)
        except (RedisError, OSError) as problem:
            log.warning("an answer is not cached: %s: %s", type(problem).__name__, problem)

    async def plan(self, customer: int) -> str:
        """What the customer pays for; `unknown` for who is none, or where the database does not answer."""
        rows = await self._rows("SELECT plan FROM bank_customers WHERE id = %s", (customer,))
        return str(rows[0][0]) if rows else UNKNOWN

    async def escalate(self, id: str, customer: int, question: str, answer: Answer) -> None:
        """Leave it to a person."""
        words = (id, customer, question, answer.intent, answer.confidence)
        await self._rows(
            "INSERT INTO bank_escalations (id, customer, question, intent, confidence) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING RETURNING id",
            words,
        )

    async def _send(self, *words: Any) -> Any:
        return await self.redis.execute_command(*words)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    async def _rows(self, query: str, words: tuple[Any, ...]) -> list[Any]:
        try:
            async with asyncio.timeout(PATIENCE), self.database.connection() as connection:
                return await (await connection.execute(query.encode(), words)).fetchall()
        except (psycopg.Error, PoolTimeout, OSError) as problem:
            log.warning("the database is left out: %s: %s", type(problem).__name__, problem)
            return []


def _key(version: str, question: str) -> str:
    return f"answers:{version}:{hashlib.blake2b(question.encode(), digest_size=12).hexdigest()}"


@asynccontextmanager
async def open_stores() -> AsyncGenerator[Stores]:
    """Open both, waiting for PostgreSQL to come up, and make the tables."""
    url = os.environ["DATABASE_URL"]
    for attempt in range(120):
        try:
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=2) as connection:
                await connection.execute(SCHEMA)
            break
        except psycopg.OperationalError:
            if attempt == 119:
                raise
            await asyncio.sleep(0.25)
    redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        os.environ["REDIS_URL"], socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
    )
    async with _pool(url) as database:
        yield Stores(redis, database)
    await redis.aclose()


def _pool(url: str) -> "AsyncConnectionPool[psycopg.AsyncConnection[Any]]":
    return AsyncConnectionPool(url, min_size=1, max_size=4, timeout=PATIENCE, open=False)
