"""Products, read from PostgreSQL and cached in Redis under `catalogue:<id>`."""

import json
import logging
import random
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from redis.exceptions import RedisError

from .settings import SETTINGS
from .stores import Shop

router = APIRouter()
log = logging.getLogger("shop")


@router.get("/catalogue")
async def catalogue(shop: Shop) -> list[int]:
    """The ids of all products."""
    async with shop.database.connection() as connection:
        rows = await (await connection.execute("SELECT id FROM products ORDER BY id")).fetchall()
    return [row[0] for row in rows]


@router.get("/catalogue/{product}")
async def product(product: int, shop: Shop) -> Response:
    """One product; from the cache where it is there, and even where the cache fails."""
    key = f"catalogue:{product}"
    cached: bytes | None = None
    try:
        cached = await shop.cache.send("GET", key)
    except RedisError as error:
        log.warning("cache read of %s failed: %s", key, error)
    if cached is not None:
        return Response(cached, media_type="application/json")
    async with shop.database.connection() as connection:
        found = await connection.execute(
            "SELECT id, name, price_cents, description FROM products WHERE id = %s", (product,)
        )
        row: tuple[Any, ...] | None = await found.fetchone()
    if row is None:
        raise HTTPException(404, f"There is no product {product}.")
    body = json.dumps(dict(zip(("id", "name", "price_cents", "description"), row, strict=True)))
    try:
        await shop.cache.send("SET", key, body, "EX", SETTINGS.cached_seconds + random.randrange(60))
    except RedisError as error:
        log.warning("cache write of %s failed: %s", key, error)
    return Response(body, media_type="application/json")
