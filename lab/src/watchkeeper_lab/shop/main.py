"""The application: `uvicorn shop.main:app`, configured by REDIS_URL, DATABASE_URL and SHOP_LOAD_ENDPOINTS."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from . import cart, catalogue, load, orders
from .replica import Named
from .stores import Shop, Stores, open_stores

logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
log = logging.getLogger("shop")
READY_SECONDS = 0.8
"""Less than a probe waits for an answer by default (Kubernetes: 1 s)."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with open_stores() as stores:
        app.state.stores = stores
        yield


app = FastAPI(title="shop", lifespan=_lifespan, docs_url=None, redoc_url=None)
if os.environ.get("SHOP_LOAD_ENDPOINTS") == "1":
    app.add_middleware(load.errors.Broken)
app.add_middleware(Named)
for part in (catalogue, cart, orders):
    app.include_router(part.router)
if os.environ.get("SHOP_LOAD_ENDPOINTS") == "1":
    app.include_router(load.router)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=503)


for failure in (RedisError, psycopg.Error, PoolTimeout, OSError):
    app.add_exception_handler(failure, _unavailable)


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether this process is alive."""
    return {"status": "ok"}


@app.get("/ready")
async def ready(shop: Shop) -> JSONResponse:
    """Whether both stores answer, and which does not; 503 then."""
    parts = {"cache": _cache(shop), "database": _database(shop)}
    found = dict(zip(parts, await asyncio.gather(*map(_within, parts.values())), strict=True))
    well = all(said == "ok" for said in found.values())
    said = {"status": "ready" if well else "unavailable", "checks": found}
    return JSONResponse(said, status_code=200 if well else 503)


async def _cache(shop: Stores) -> None:
    await shop.cache.send("PING")


async def _database(shop: Stores) -> None:
    async with shop.database.connection() as connection:
        await connection.execute("SELECT 1")


async def _within(work: Coroutine[Any, Any, None]) -> str:
    """`ok`, or what went wrong; whoever asks does not wait for ever."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await work
    except Exception as error:
        return f"{type(error).__name__}: {error}".rstrip(": ")
    return "ok"
