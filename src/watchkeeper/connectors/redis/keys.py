"""The keys declared to be a cache: sampled, expired, flushed. Nothing undeclared is ever removed."""

import re
from collections.abc import AsyncIterator, Sequence

from watchkeeper.connectors.redis.figures import info
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.trouble import trouble
from watchkeeper.connectors.redis.wire import ServerSaid

PROBE_PREFIX = "watchkeeper:probe:"
SAMPLE_SIZE = 16
_SCAN = 500
_BATCH = 200
"""Keys removed before memory is looked at again: about a millisecond of the server's time."""


def matcher(globs: Sequence[str]) -> re.Pattern[str]:
    """One expression for several of Redis' globs (`*`, `?`, `[a-z]`, `[^x]`, backslash). No globs match nothing."""
    return re.compile("|".join(f"(?:{_expression(glob)})" for glob in globs) if globs else r"(?!)", re.DOTALL)


def _expression(glob: str) -> str:
    out, at = "", 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            out += ".*"
        elif char == "?":
            out += "."
        elif char == "\\" and at < len(glob):
            out += re.escape(glob[at])
            at += 1
        elif char == "[":
            end = glob.find("]", at + 1)
            if end < 0:
                return r"(?!)"  # a class that never ends: what it means is not clear, so it declares nothing
            inside = glob[at:end].replace("\\", "\\\\").replace("[", "\\[")
            out += f"[{inside}]"
            at = end + 1
        else:
            out += re.escape(char)
    return out


async def sample(session: RedisSession) -> float | None:
    """The share of undeclared keys among a few random ones; None for an empty database."""
    replies = await session.pipeline([("RANDOMKEY",)] * SAMPLE_SIZE)
    session.granted(replies[0], "randomkey")
    keys = [key for key in replies if isinstance(key, str) and not key.startswith(PROBE_PREFIX)]
    if not keys:
        return None
    declared = matcher(session.patterns)
    return sum(declared.fullmatch(key) is None for key in keys) / len(keys)


async def declared_keys(session: RedisSession) -> AsyncIterator[list[str]]:
    """The declared keys in batches, found by the server and checked once more here."""
    for glob in session.patterns:
        declared = matcher([glob])
        async for keys in _scan(session, "MATCH", glob):
            if found := [key for key in keys if declared.fullmatch(key)]:
                yield found


async def undeclared(session: RedisSession) -> int:
    """How many keys of the database are not declared. Looks at all of them."""
    declared = matcher(session.patterns)
    count = 0
    async for keys in _scan(session):
        count += sum(declared.fullmatch(key) is None and not key.startswith(PROBE_PREFIX) for key in keys)
    return count


async def remove(session: RedisSession, keys: Sequence[str]) -> int:
    """UNLINK them, one command a key as a cluster wants it; how many there were. Raises Trouble."""
    removed = 0
    for begin in range(0, len(keys), _BATCH):
        for reply in await session.pipeline([("UNLINK", key) for key in keys[begin : begin + _BATCH]], timeout=2.0):
            if isinstance(reply, ServerSaid):
                raise trouble(reply)
            removed += int(reply)
    return removed


async def batches(session: RedisSession) -> AsyncIterator[list[str]]:
    """The declared keys in batches small enough to look at memory between them."""
    async for found in declared_keys(session):
        for begin in range(0, len(found), _BATCH):
            yield found[begin : begin + _BATCH]


async def memory_ratio(session: RedisSession) -> float | None:
    """Used memory as a share of maxmemory, now; None without a maxmemory."""
    said = info(await session.call("INFO", "memory"))
    most = float(said.get("maxmemory", 0))
    return float(said["used_memory"]) / most if most > 0 else None


async def _scan(session: RedisSession, *options: str) -> AsyncIterator[list[str]]:
    cursor = "0"
    while True:
        cursor, keys = await session.call("SCAN", cursor, *options, "COUNT", _SCAN)
        yield keys
        if cursor == "0":
            return
