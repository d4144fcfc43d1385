"""Fills the desk's Redis with what the desk itself would write: views, drafts, sessions; each in its own database."""

import json
import random
import time
import uuid
from dataclasses import dataclass

from watchkeeper_lab.ledger import Ledger, Write
from watchkeeper_lab.redis_link import Command, RedisLink, memory_ratio
from watchkeeper_lab.tickets.audit import SESSIONS, VIEWS

BATCH = 40
"""Entries sent at once, about 150 KB."""


@dataclass(frozen=True, slots=True)
class _Entry:
    database: int
    key: str
    command: Command
    write: Write | None


async def fill(link: RedisLink, ledger: Ledger, to_ratio: float) -> float:
    """Write until so much of maxmemory is used, or Redis refuses; return the share then used."""
    used = memory_ratio(await link.info())
    while used < to_ratio:
        entries = [_entry() for _ in range(BATCH)]
        ledger.note_added(f"{one.database} {one.key}" for one in entries)
        refused = False
        for database in (VIEWS, SESSIONS):
            mine = [one for one in entries if one.database == database]
            answers = await link.send_all([("SELECT", database), *(one.command for one in mine), ("SELECT", 0)])
            kept = [one.write for one, answer in zip(mine, answers[1:-1], strict=True) if answer in (True, b"OK", "OK")]
            ledger.acknowledged([write for write in kept if write is not None])
            refused = refused or any(isinstance(answer, Exception) for answer in answers)
        used = memory_ratio(await link.info())
        if refused:
            break
    return used


async def take_out(link: RedisLink, ledger: Ledger) -> int:
    """Remove every key that `fill` added; return how many there were."""
    added = ledger.added()
    by_database: dict[str, list[str]] = {}
    for one in added:
        database, _, key = one.partition(" ")
        by_database.setdefault(database, []).append(key)
    ledger.removed("maybe_gone", [key for keys in by_database.values() for key in keys])
    for database, keys in by_database.items():
        for start in range(0, len(keys), 500):
            unlink: Command = ("UNLINK", *keys[start : start + 500])
            await link.send_all([("SELECT", int(database)), unlink, ("SELECT", 0)])
    ledger.forget_added()
    return len(added)


def _entry() -> _Entry:
    dice = random.random()
    if dice < 0.4:
        key, value = f"view:ticket:{random.randint(10**6, 10**9)}", json.dumps({"body": _text()})
        return _Entry(VIEWS, key, ("SET", key, value, "EX", random.randint(900, 3600)), None)
    if dice < 0.7:
        key, value = f"draft:{uuid.uuid4().hex}", _text()
        return _Entry(SESSIONS, key, ("SET", key, value), Write.of("draft", key, value))
    key, value, seconds = f"sess:{uuid.uuid4().hex}", _text(), random.randint(1800, 7200)
    write = Write.of("session", key, value, expires_at=time.time() + seconds)
    return _Entry(SESSIONS, key, ("SET", key, value, "EX", seconds), write)


def _text() -> str:
    return random.randbytes(random.randint(1000, 3500)).hex()
