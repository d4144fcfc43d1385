"""Carts (`cart:<id>`), sessions (`session:<id>`) and order drafts (`order-draft:<id>`), all in Redis.

Carts and sessions expire; a draft is kept until it is ordered.
"""

import json
import time
import uuid
from typing import Annotated

from fastapi import APIRouter, Body, Header
from pydantic import BaseModel, Field

from .stores import Shop

router = APIRouter()
CART_SECONDS = 3600
SESSION_SECONDS = 1800

Session = Annotated[str | None, Header(alias="X-Session", max_length=64)]


class Item(BaseModel):
    """So many of one product."""

    product: int
    quantity: int = Field(ge=1, le=999)


class Draft(BaseModel):
    """What somebody may order later."""

    note: str = Field(max_length=10_000)
    lines: list[Item]


async def touch(shop: Shop, session: str | None) -> None:
    """Note that somebody is there."""
    if session is not None:
        seen = json.dumps({"session": session, "seen": time.time()})
        await shop.cache.send("SET", f"session:{session}", seen, "EX", SESSION_SECONDS)


@router.get("/carts/{cart}")
async def show(cart: str, shop: Shop) -> dict[int, int]:
    """Quantities by product."""
    flat: list[bytes] | dict[bytes, bytes] = await shop.cache.send("HGETALL", f"cart:{cart}")
    pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    return {int(product): int(quantity) for product, quantity in pairs}


@router.post("/carts/{cart}/items", status_code=201)
async def put(cart: str, item: Item, shop: Shop, session: Session = None) -> Item:
    """Put a product into a cart."""
    await touch(shop, session)
    await shop.cache.send("HSET", f"cart:{cart}", item.product, item.quantity)
    await shop.cache.send("EXPIRE", f"cart:{cart}", CART_SECONDS)
    return item


@router.post("/drafts", status_code=201)
async def draft(draft: Annotated[Draft, Body()], shop: Shop, session: Session = None) -> dict[str, str]:
    """Keep an order for later. The stored text is returned as `document`."""
    await touch(shop, session)
    name, document = uuid.uuid4().hex, draft.model_dump_json()
    await shop.cache.send("SET", f"order-draft:{name}", document)
    return {"id": name, "document": document}
