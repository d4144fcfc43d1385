"""Checkout turns a cart into an order in PostgreSQL."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from redis.exceptions import RedisError

from .stores import Shop, own_cache

router = APIRouter()
log = logging.getLogger("shop")


class Order(BaseModel):
    """An order as it is kept; money in cents."""

    id: str
    cart: str
    total_cents: int


@router.post("/checkout/{cart}", status_code=201)
async def checkout(cart: str, shop: Shop) -> Order:
    """Order what is in the cart, then empty it. The cart is read over a connection of its own."""
    async with own_cache() as cache:
        flat: list[bytes] | dict[bytes, bytes] = await cache.send("HGETALL", f"cart:{cart}")
        pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
        lines = {int(product): int(quantity) for product, quantity in pairs}
        if not lines:
            raise HTTPException(409, "The cart is empty.")
        async with shop.database.connection() as connection:
            found = await connection.execute("SELECT id, price_cents FROM products WHERE id = ANY(%s)", (list(lines),))
            total = sum(lines[row[0]] * row[1] for row in await found.fetchall())
            order = Order(id=uuid.uuid4().hex, cart=cart, total_cents=total)
            await connection.execute(
                "INSERT INTO orders (id, cart, total_cents, lines) VALUES (%s, %s, %s, %s)",
                (order.id, cart, total, json.dumps(lines)),
            )
        try:
            await cache.send("DEL", f"cart:{cart}")
        except RedisError as error:
            log.warning("cart %s is ordered but could not be emptied: %s", cart, error)
    return order


@router.get("/orders/export")
async def export(shop: Shop, seconds: Annotated[float, Query(ge=0, le=3600)] = 1.0) -> StreamingResponse:
    """All orders, one a line, over so many seconds: for somebody whose line is slow."""
    async with shop.database.connection() as connection:
        rows = await (await connection.execute("SELECT id, total_cents FROM orders LIMIT 10000")).fetchall()
    lines = [f"{order},{total}\n" for order, total in rows]

    async def slowly() -> AsyncIterator[str]:
        rounds = max(1, int(seconds))
        for turn in range(rounds):
            yield "".join(["id,total_cents\n", *lines[turn::rounds]])
            await asyncio.sleep(seconds / rounds)

    return StreamingResponse(slowly(), media_type="text/csv", headers={"X-Accel-Buffering": "no"})


@router.get("/orders/{order}")
async def show(order: str, shop: Shop) -> Order:
    """An order."""
    async with shop.database.connection() as connection:
        found = await connection.execute("SELECT id, cart, total_cents FROM orders WHERE id = %s", (order,))
        row = await found.fetchone()
    if row is None:
        raise HTTPException(404, f"There is no order {order}.")
    return Order(id=row[0], cart=row[1], total_cents=row[2])
