"""Judges whether the shop is well, with probes of its own. It asks nobody else, least of all Watchkeeper."""

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from redis.exceptions import RedisError

from watchkeeper_lab.audit import Audit, audit
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.ledger import Ledger
from watchkeeper_lab.redis_link import client_ratio, memory_ratio, redis_link
from watchkeeper_lab.services import Services, ServiceState

MEMORY_LIMIT = 0.95
"""Share of maxmemory from which Redis counts as full, as in the reference."""
CLIENT_LIMIT = 0.90
"""Share of maxclients from which Redis counts as exhausted."""
NOUN = {"container": "containers", "process": "processes"}
PROBE_SECONDS = 2.0
SHOP_ROUNDS = 4
"""Rounds of seven shop requests each: enough that chance leaves no replica out."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the oracle found.

    `reasons` say what is wrong, and are empty exactly where the shop is healthy. `facts` are measurements, with units
    in their names. `audit` is None where the stores could not be read. `at` is Unix time.
    """

    at: float
    reasons: tuple[str, ...]
    facts: dict[str, float | str] = field(default_factory=lambda: dict[str, float | str]())
    audit: Audit | None = None

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


class Oracle:
    """The judge of one lab."""

    def __init__(self, instance: Instance, ledger: Ledger, services: Services) -> None:
        self._instance = instance
        self._ledger = ledger
        self._services = services

    async def judge(self, *, with_audit: bool = True) -> Judgement:
        """Look at the services, use Redis and the shop as a client would, and read every acknowledged write back."""
        facts: dict[str, float | str] = {}
        parts = await asyncio.gather(self._running(facts), self._redis(facts), self._shop())
        reasons = [reason for part in parts for reason in part]
        found: Audit | None = None
        if with_audit:
            try:
                found = await self.audit()
                reasons += [found.summary()] if found.lost else []
                facts["acknowledged_writes"], facts["lost_writes"] = found.checked, len(found.lost)
            except (RedisError, psycopg.Error, OSError) as error:
                reasons.append(f"the ledger could not be audited: {_brief(error)}")
        return Judgement(time.time(), tuple(reasons), facts, found)

    async def audit(self) -> Audit:
        """Read every acknowledged write back; raises `redis.RedisError` or `psycopg.Error` where a store is silent."""
        async with redis_link(self._instance.ports["REDIS_PORT"], timeout=10.0) as link:
            return await audit(self._ledger, link, self._instance.database_url)

    async def _running(self, facts: dict[str, float | str]) -> list[str]:
        states = await self._services.states()
        if not states:
            return [f"the lab has no {NOUN[self._services.ground]}"]
        if redis := states.get("redis"):
            facts["redis_runs"] = "paused" if redis.paused else redis.status
            facts["redis_started_at"] = redis.started_at
        found = [_unwell(service, state, self._services.ground) for service, state in states.items()]
        missing = [f"the {self._services.ground} of {one} is gone" for one in self._instance.services - states.keys()]
        return [*sorted(missing), *(reason for reason in found if reason)]

    async def _redis(self, facts: dict[str, float | str]) -> list[str]:
        reasons: list[str] = []
        key, value = f"session:{uuid.uuid4().hex}", uuid.uuid4().hex
        try:
            async with redis_link(self._instance.ports["REDIS_PORT"], timeout=PROBE_SECONDS) as link:
                info = await link.info()
                facts["redis_memory_ratio"] = round(memory_ratio(info), 4)
                facts["redis_client_ratio"] = round(client_ratio(info), 4)
                facts["redis_used_memory_bytes"] = int(info["used_memory"])
                facts["redis_maxmemory_bytes"] = int(info["maxmemory"])
                if memory_ratio(info) >= MEMORY_LIMIT:
                    reasons.append(f"Redis uses {memory_ratio(info):.1%} of maxmemory")
                if client_ratio(info) >= CLIENT_LIMIT:
                    reasons.append(f"Redis has {client_ratio(info):.1%} of maxclients connected")
                await link.send("SET", key, value, "EX", 10)
                if await link.send("GET", key) != value.encode():
                    reasons.append("Redis did not return what was written")
                await link.send("DEL", key)
        except (RedisError, OSError) as error:
            reasons.append(f"Redis did not serve a write and a read: {_brief(error)}")
        return reasons

    async def _shop(self) -> list[str]:
        url = f"http://127.0.0.1:{self._instance.ports['NGINX_PORT']}"
        async with httpx.AsyncClient(base_url=url, timeout=PROBE_SECONDS + 1, trust_env=False) as client:
            rounds = await asyncio.gather(*[self._shop_round(client) for _ in range(SHOP_ROUNDS)])
        return list(dict.fromkeys(reason for reason in rounds if reason))

    async def _shop_round(self, client: httpx.AsyncClient) -> str:
        """Fill a cart, read it and order it; what went wrong, or nothing."""
        cart, where = uuid.uuid4().hex, "GET /ready"
        try:
            _expect(await client.get("/ready"), 200)
            where = "GET /catalogue"
            products = _expect(await client.get("/catalogue"), 200)
            where = "GET /catalogue/{id}"
            _expect(await client.get(f"/catalogue/{products[0]}"), 200)
            where = "POST /carts/{id}/items"
            _expect(await client.post(f"/carts/{cart}/items", json={"product": products[0], "quantity": 2}), 201)
            where = "GET /carts/{id}"
            if _expect(await client.get(f"/carts/{cart}"), 200) != {str(products[0]): 2}:
                return "the shop forgot what was put into a cart"
            where = "POST /checkout/{id}"
            order = _expect(await client.post(f"/checkout/{cart}"), 201)
            where = "GET /orders/{id}"
            _expect(await client.get(f"/orders/{order['id']}"), 200)
        except (httpx.HTTPError, json.JSONDecodeError, AssertionError) as error:
            return f"the shop failed at {where}: {_brief(error)}"
        return ""


def _expect(answer: httpx.Response, status: int) -> Any:
    if answer.status_code != status:
        raise AssertionError(f"status {answer.status_code}")
    return answer.json()


def _unwell(service: str, state: ServiceState, ground: str) -> str:
    return "" if state.running else f"the {ground} of {service} is {'paused' if state.paused else state.status}"


def _brief(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()[:160]
