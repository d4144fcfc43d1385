"""The shop's two stores: Redis for what is quick and short-lived, PostgreSQL for orders and products."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from .settings import SETTINGS

PATIENCE = 1.0
"""Seconds that the shop waits for a store before it answers 503."""

SCHEMA = """
SELECT pg_advisory_xact_lock(1);
CREATE TABLE IF NOT EXISTS products (
    id integer PRIMARY KEY, name text NOT NULL, price_cents integer NOT NULL, description text NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id text PRIMARY KEY, cart text NOT NULL, total_cents integer NOT NULL, lines jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO products SELECT
    100000 + (i * 247691) % 9900000, 'Product ' || i, 100 + (i * 37) % 9900, repeat(md5(i::text) || ' ', 30 + i % 90)
    FROM generate_series(1, 400) AS i ON CONFLICT DO NOTHING;
"""


def redis_pool() -> BlockingConnectionPool:
    """Connections with a timeout, retried where a pooled one turns out to be dead."""
    return BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        os.environ["REDIS_URL"],
        max_connections=12,
        timeout=PATIENCE,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), 3, supported_errors=(RedisConnectionError,)),
    )


class Cache:
    """The commands the shop sends to Redis."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def send(self, *words: Any) -> Any:
        """Send one command and return its answer, text as bytes."""
        return await self._client.execute_command(*words)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    async def close(self) -> None:
        """Give all connections back."""
        await self._client.aclose()


@asynccontextmanager
async def own_cache() -> AsyncGenerator[Cache]:
    """A connection of one's own to Redis, for work that must not be interleaved with that of others."""
    cache = Cache(Redis.from_pool(redis_pool()))
    try:
        yield cache
    finally:
        await cache.close()


def _database_pool(url: str) -> "AsyncConnectionPool[psycopg.AsyncConnection[Any]]":
    return AsyncConnectionPool(url, min_size=1, max_size=SETTINGS.connections, timeout=PATIENCE, open=False)


@dataclass(frozen=True, slots=True)
class Stores:
    """Both stores, open."""

    cache: Cache
    database: "AsyncConnectionPool[psycopg.AsyncConnection[Any]]"


@asynccontextmanager
async def open_stores() -> AsyncGenerator[Stores]:
    """Open both stores, waiting for PostgreSQL to come up, and make the schema."""
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
    cache = Cache(Redis.from_pool(redis_pool()))
    async with _database_pool(url) as database:
        yield Stores(cache, database)
    await cache.close()


def _stores(request: Request) -> Stores:
    return request.app.state.stores


Shop = Annotated[Stores, Depends(_stores)]
