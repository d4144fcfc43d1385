"""Visitors of the shop: a bounded rate of requests through nginx, each written into the ledger.

Runs as a process of its own: `python -m watchkeeper_lab.traffic --url … --ledger … --rate 15`; ends on SIGTERM.
"""

import asyncio
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from watchkeeper_lab.ledger import Ledger, Write
from watchkeeper_lab.pace import Pace
from watchkeeper_lab.visit import main

VISITORS = 16
"""At most so many requests are on their way at once."""
PATIENCE = 3.0
"""Seconds a visitor waits for an answer."""
CART_SECONDS = 3600


@dataclass(slots=True)
class Visitor:
    """Somebody who looks at products, fills a cart, keeps drafts and orders."""

    client: httpx.AsyncClient
    ledger: Ledger
    products: list[int]
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    cart: str = field(default_factory=lambda: uuid.uuid4().hex)
    items: set[int] = field(default_factory=lambda: set[int]())

    async def act(self) -> None:
        """Do one thing a visitor does."""
        dice = random.random()
        if dice < 0.35 or not self.products:
            await self._look()
        elif dice < 0.65:
            await self._put()
        elif dice < 0.75:
            await self._request("GET", "/carts/{id}", f"/carts/{self.cart}")
        elif dice < 0.9 or len(self.items) < 2:
            await self._draft()
        else:
            await self._checkout()

    async def _request(self, method: str, route: str, path: str, body: Any = None) -> httpx.Response | None:
        """Send a request and record how it went; None where there was no answer."""
        began = time.monotonic()
        answer: httpx.Response | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self.client.request(method, path, json=body, headers={"X-Session": self.session})
        except (httpx.HTTPError, TimeoutError):
            pass
        self.ledger.request(method, route, answer.status_code if answer else 0, time.monotonic() - began)
        return answer

    async def _look(self) -> None:
        if not self.products:
            listing = await self._request("GET", "/catalogue", "/catalogue")
            if listing is not None and listing.status_code == 200:
                self.products.extend(listing.json())
            return
        await self._request("GET", "/catalogue/{id}", f"/catalogue/{random.choice(self.products)}")

    async def _put(self) -> None:
        product = random.choice(self.products)
        if product in self.items:
            await self._look()
            return
        self.items.add(product)
        quantity = random.randint(1, 99)
        body = {"product": product, "quantity": quantity}
        answer = await self._request("POST", "/carts/{id}/items", f"/carts/{self.cart}/items", body)
        if answer is not None and answer.status_code == 201:
            expires_at = time.time() + CART_SECONDS
            write = Write.of("cart", f"cart:{self.cart}", str(quantity), field=str(product), expires_at=expires_at)
            self.ledger.acknowledged([write])

    async def _draft(self) -> None:
        note = random.randbytes(random.randint(20, 300)).hex()
        lines = [{"product": random.choice(self.products), "quantity": random.randint(1, 9)}]
        answer = await self._request("POST", "/drafts", "/drafts", {"note": note, "lines": lines})
        if answer is not None and answer.status_code == 201:
            kept = answer.json()
            self.ledger.acknowledged([Write.of("draft", f"order-draft:{kept['id']}", kept["document"])])

    async def _checkout(self) -> None:
        cart, self.cart = self.cart, uuid.uuid4().hex
        self.items.clear()
        self.ledger.removed("maybe_gone", [f"cart:{cart}"])
        answer = await self._request("POST", "/checkout/{id}", f"/checkout/{cart}")
        if answer is not None and answer.status_code == 201:
            order = answer.json()
            self.ledger.acknowledged([Write.of("order", order["id"], str(order["total_cents"]))])


async def visit(url: str, ledger: Ledger, rate: float, seconds: float) -> None:
    """Send `rate` requests per second to the shop at `url` for `seconds`, or until cancelled."""
    pace = Pace(rate)
    products: list[int] = []

    async def stay(visitor: Visitor) -> None:
        while True:
            await pace.turn()
            await visitor.act()

    limits = httpx.Limits(max_connections=VISITORS, max_keepalive_connections=VISITORS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE, trust_env=False) as client:
        visitors = [Visitor(client, ledger, products) for _ in range(VISITORS)]
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for visitor in visitors:
                    group.create_task(stay(visitor))
        except TimeoutError:
            pass


if __name__ == "__main__":
    main(visit)
