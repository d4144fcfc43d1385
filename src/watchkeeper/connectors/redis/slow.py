"""Which commands stand the server still, by its slow log. Of arguments nothing is kept but the shape of a key."""

import re
import time
from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import MaxLen

from watchkeeper.connectors.redis.figures import clients
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.trouble import Trouble
from watchkeeper.domain import Effect, Reading, Refused, tool
from watchkeeper.domain.rights import commands

_EVERY = 10.0
_ENTRIES = 64
_SEVERAL = 3
"""Fewer within one interval are a long command, which is over: not what holds up everybody all the time."""
_PLAIN_WORD = re.compile(r"[a-z][a-z_\-]{0,19}")
_NO_KEY = frozenset({"EVAL", "EVALSHA", "FCALL", "AUTH", "HELLO", "CONFIG", "ACL", "DEBUG", "FLUSHALL", "FLUSHDB"})
"""Their first argument is no key, or a secret."""


async def ask(session: RedisSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """The share of the time that slow commands took in each of the last two intervals, and the worst of them. Raises
    Trouble."""
    part = session.part
    if session.due("slow", _EVERY):
        reply = (await session.pipeline([("SLOWLOG", "GET", _ENTRIES)]))[0]
        if session.granted(reply, "slowlog|get") and isinstance(reply, list):
            _take(session, reply)  # pyright: ignore[reportUnknownArgumentType]
    metrics |= part.slow[0]
    facts |= part.slow[1]


def _take(session: RedisSession, entries: Sequence[Sequence[Any]]) -> None:
    """Entries are id, time, microseconds, words, client's address, client's name."""
    part, present = session.part, time.monotonic()
    newest = int(entries[0][0]) if entries else -1
    if part.slow_id is None or newest < part.slow_id:  # first seen, or the server began anew
        part.slow_id, part.slow_at, part.slow, part.slow_share = newest, present, ({}, {}), 0.0
        return
    fresh = [entry for entry in entries if int(entry[0]) > (part.slow_id or 0)]
    seconds = max(present - part.slow_at, 1.0)
    taken = sum(int(entry[2]) for entry in fresh) / 1e6
    part.slow_id, part.slow_at = newest, present
    share = min(1.0, taken / seconds) if len(fresh) >= _SEVERAL else 0.0
    before, part.slow_share = part.slow_share, share
    metrics = {"slow_ratio": min(share, before), "slowest_seconds": 0.0}
    facts: dict[str, str] = {}
    if fresh:
        worst = max(fresh, key=lambda entry: int(entry[2]))
        command = str(worst[3][0]).upper()[:40]
        metrics["slowest_seconds"] = int(worst[2]) / 1e6
        facts = {"slow_command": command, "slow_client": str(worst[4]) if len(worst) > 4 else ""}
        facts["slow_key"] = shape(str(worst[3][1])) if len(worst[3]) > 1 and command not in _NO_KEY else ""
    part.slow = (metrics, facts)


def shape(key: str) -> str:
    """A key without what is particular to one.

    >>> shape("cart:4711:items"), shape("session:Zk3fQ9"), shape("*")
    ('cart:*:items', 'session:*', '*')
    """
    words = [word if _PLAIN_WORD.fullmatch(word) else "*" for word in key[:200].split(":")[:6]]
    return ":".join(words)


def somebody_is_slow(reading: Reading, arguments: Any) -> str | None:
    """Slow commands take a share of the time that is worth it."""
    return None if reading.metrics.get("slow_ratio", 0.0) > 0.05 else "No slow commands hold it up now."


async def connected(redis: RedisSession) -> list[str]:
    """The addresses of everybody connected."""
    return re.findall(r"(?:^| )addr=(\S+)", await redis.call("CLIENT", "LIST"), re.MULTILINE)


@tool(
    Effect.DISRUPTIVE,
    settle=15.0,
    timeout=10.0,
    requires=(somebody_is_slow,),
    rights=commands("client|list", "client|kill"),
    by_hand="{inside}redis-cli{at} CLIENT KILL ADDR {client}",
)
async def redis_end_client(redis: RedisSession, client: Annotated[str, MaxLen(100)]) -> dict[str, int]:
    """End one client's connection (`client` is its address with port, as the slow log names it). Replicas, subscribers,
    those in a transaction or blocked, and our own are left alone. Most clients connect again at once: it stops what
    runs away, not what is meant."""
    for line in str(await redis.call("CLIENT", "LIST")).splitlines():
        if f" addr={client} " in line:
            (found,) = clients(line)
            if not found.killable:
                raise Refused(
                    f"{client} is a replica, a subscriber, blocked, in a transaction or ours: it is left alone."
                )
            try:
                return {"ended": int(await redis.call("CLIENT", "KILL", "ID", found.id))}
            except Trouble as problem:
                if "No such client" in str(problem):
                    return {"ended": 0}
                raise
    raise Refused(f"{client} is not connected (any more).")
