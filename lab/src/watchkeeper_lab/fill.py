"""Fills Redis with what a shop keeps there: drafts, carts, sessions, cached products. Nothing tells them apart."""

import json
import random
import time
import uuid
from dataclasses import dataclass
from typing import Any

from watchkeeper_lab.ledger import Ledger, Write
from watchkeeper_lab.redis_link import Command, RedisLink, memory_ratio

BATCH_BYTES = 1 << 20
NEAR_BYTES = 1 << 16
"""Size of a batch far from the aim and close to it."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of what is added, by bytes; they add up to 1."""

    catalogue: float
    drafts: float
    sessions: float
    carts: float

    @classmethod
    def drawn(cls, least_cache: float, most_cache: float) -> "Mix":
        """A random mix whose share of cached products lies between two bounds."""
        catalogue = random.uniform(least_cache, most_cache)
        weights = [random.uniform(2, 4), random.uniform(1, 2), random.uniform(0.05, 0.2)]
        drafts, sessions, carts = ((1 - catalogue) * weight / sum(weights) for weight in weights)
        return cls(catalogue, drafts, sessions, carts)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    commands: tuple[Command, ...]
    writes: tuple[Write, ...]
    size: int


async def fill(link: RedisLink, ledger: Ledger, mix: Mix, ratio: float) -> float:
    """Add keys until used_memory reaches `ratio` of maxmemory or Redis takes no more; return the ratio reached.

    Every acknowledged write that matters goes into the ledger; every key goes into its list of what was added.
    """
    while True:
        info = await link.info()
        reached = memory_ratio(info)
        missing = ratio * float(info["maxmemory"]) - float(info["used_memory"])
        if missing <= 0:
            return reached
        batch = _batch(mix, NEAR_BYTES if missing < 4 * BATCH_BYTES else BATCH_BYTES)
        ledger.note_added(entry.key for entry in batch)
        answers = iter(await link.send_all([command for entry in batch for command in entry.commands]))
        kept: list[Write] = []
        refused = False
        for entry in batch:
            outcomes = [next(answers) for _ in entry.commands]
            failed = any(isinstance(outcome, Exception) for outcome in outcomes)
            refused = refused or failed
            kept += [] if failed else entry.writes
        ledger.acknowledged(kept)
        if refused:
            return memory_ratio(await link.info())


async def take_out(link: RedisLink, ledger: Ledger) -> int:
    """Remove every key that `fill` added; return how many there were."""
    keys = ledger.added()
    ledger.removed("maybe_gone", keys)
    for start in range(0, len(keys), 500):
        await link.send_all([("UNLINK", *keys[start : start + 500])])
    ledger.forget_added()
    return len(keys)


def _batch(mix: Mix, size: int) -> list[_Entry]:
    shares = (mix.catalogue, mix.drafts, mix.sessions, mix.carts)
    made: list[_Entry] = []
    total = 0
    # the weights are shares of bytes, so each kind is drawn by its share over its mean size
    weights = [share / mean for share, mean in zip(shares, _MEANS, strict=True)]
    while total < size:
        entry = random.choices(_KINDS, weights)[0]()
        made.append(entry)
        total += entry.size
    return made


def _text(least: int, most: int) -> str:
    return random.randbytes(random.randint(least, most) // 2).hex()


def _product() -> _Entry:
    number = random.randint(100_000, 9_999_999)
    body: dict[str, Any] = {"id": number, "name": f"Product {number % 9973}", "price_cents": random.randint(100, 9999)}
    value = json.dumps(body | {"description": _text(2000, 8000)})
    key = f"catalogue:{number}"
    return _Entry(key, (("SET", key, value, "EX", random.randint(900, 3600)),), (), len(value))


def _draft() -> _Entry:
    lines = [{"product": random.randint(100_000, 999_999), "quantity": random.randint(1, 9)}]
    value = json.dumps({"note": _text(2000, 8000), "lines": lines})
    key = f"order-draft:{uuid.uuid4().hex}"
    return _Entry(key, (("SET", key, value),), (Write.of("draft", key, value),), len(value))


def _session() -> _Entry:
    name, ttl = uuid.uuid4().hex, random.randint(1800, 7200)
    value = json.dumps({"session": name, "seen": time.time(), "history": _text(1000, 5000)})
    key = f"session:{name}"
    write = Write.of("session", key, value, expires_at=time.time() + ttl)
    return _Entry(key, (("SET", key, value, "EX", ttl),), (write,), len(value))


def _cart() -> _Entry:
    key, ttl = f"cart:{uuid.uuid4().hex}", random.randint(1800, 7200)
    products = random.sample(range(100_000, 999_999), random.randint(10, 100))
    items = {str(product): str(product % 99 + 1) for product in products}
    flat = [word for pair in items.items() for word in pair]
    expires_at = time.time() + ttl
    product, quantity = next(iter(items.items()))  # one HSET is one write: all of its fields are there, or none
    write = Write.of("cart", key, quantity, field=product, expires_at=expires_at)
    return _Entry(key, (("HSET", key, *flat), ("EXPIRE", key, ttl)), (write,), 8 * len(flat))


_KINDS = (_product, _draft, _session, _cart)
_MEANS = (5000, 5000, 3000, 1000)
"""Mean sizes of the kinds, in bytes."""
