"""The shop: orders through nginx as visitors place them, and each replica by itself."""

import asyncio
import json
import uuid

import httpx

from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.oracle.replicas import asked, expect, weigh

PROBE_SECONDS = 3.0
ROUNDS = 2
"""Rounds of seven requests each through nginx; each replica is asked by itself besides."""
ASKED = ("/ready", "/catalogue")


async def look(place: Place) -> Finding:
    """Fill carts and order; ask each replica past nginx; look at what memory each uses."""
    found = Finding()
    url = f"http://127.0.0.1:{place.instance.ports['NGINX_PORT']}"
    replicas = {name: state for name, state in place.states.items() if name.startswith("shop-") and state.running}
    async with loopback(url, timeout=PROBE_SECONDS) as client:
        parts = await asyncio.gather(
            *[_round(client) for _ in range(ROUNDS)],
            *[asked(name, state, ASKED, seconds=PROBE_SECONDS) for name, state in replicas.items()],
        )
    found.reasons += dict.fromkeys(reason for reason in parts if reason)
    for name, state in replicas.items():
        found.facts[f"{name.replace('-', '_')}_restarts"] = state.restarts
        weigh(found, name, state)
    return found


async def _round(client: httpx.AsyncClient) -> str:
    """Fill a cart, read it and order it; what went wrong, or nothing."""
    cart, where = uuid.uuid4().hex, "GET /ready"
    try:
        expect(await client.get("/ready"), 200)
        where = "GET /catalogue"
        products = expect(await client.get("/catalogue"), 200)
        where = "GET /catalogue/{id}"
        expect(await client.get(f"/catalogue/{products[0]}"), 200)
        where = "POST /carts/{id}/items"
        expect(await client.post(f"/carts/{cart}/items", json={"product": products[0], "quantity": 2}), 201)
        where = "GET /carts/{id}"
        if expect(await client.get(f"/carts/{cart}"), 200) != {str(products[0]): 2}:
            return "the shop forgot what was put into a cart"
        where = "POST /checkout/{id}"
        order = expect(await client.post(f"/checkout/{cart}"), 201)
        where = "GET /orders/{id}"
        expect(await client.get(f"/orders/{order['id']}"), 200)
    except (httpx.HTTPError, json.JSONDecodeError, AssertionError) as error:
        return f"the shop failed at {where}: {brief(error)}"
    return ""
