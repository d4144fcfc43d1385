"""The application: `uvicorn shop.main:app`, configured by REDIS_URL, DATABASE_URL and SHOP_LOAD_ENDPOINTS."""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from . import cart, catalogue, load, orders
from .replica import Named
from .stores import Shop, open_stores

logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
log = logging.getLogger("shop")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with open_stores() as stores:
        app.state.stores = stores
        yield


app = FastAPI(title="shop", lifespan=_lifespan, docs_url=None, redoc_url=None)
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
async def ready(shop: Shop) -> dict[str, str]:
    """Whether both stores answer; 503 where one does not."""
    await shop.cache.send("PING")
    async with shop.database.connection() as connection:
        await connection.execute("SELECT 1")
    return {"status": "ready"}
