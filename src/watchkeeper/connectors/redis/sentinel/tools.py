"""What can be asked of a Sentinel. Nothing here ends one, or makes it forget."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import MaxLen, MinLen

from watchkeeper.connectors.redis.sentinel import figures
from watchkeeper.connectors.redis.sentinel.session import SentinelSession
from watchkeeper.connectors.redis.wire import ServerSaid
from watchkeeper.domain import Effect, Reading, Refused, Tool, WatchkeeperError, tool
from watchkeeper.domain.rights import commands

_CLI = "{inside}redis-cli{at}"
_POLL_SECONDS = 0.1
_FAILOVER_SECONDS = 45.0


async def primaries(session: SentinelSession) -> dict[str, str]:
    """Name → address of each primary: what a failover changes."""
    every = figures.entries(await session.call("SENTINEL", "MASTERS"))
    return {entry.get("name", ""): "{}:{}".format(*figures.address(entry)) for entry in every}


def has_a_quorum(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Enough Sentinels agree and reach each other."""
    return None if reading.metrics["quorum_ok"] > 0 else "Too few Sentinels can be reached to authorise a failover."


def has_a_good_replica(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is a replica that could be promoted."""
    return None if reading.metrics["good_replicas"] > 0 else "No replica hears its primary: there is none to promote."


def is_not_failing_over(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """No failover is going on."""
    return "A failover is going on already." if reading.metrics["failovers"] > 0 else None


@tool(
    Effect.READ,
    timeout=5.0,
    rights=commands("sentinel|masters", "sentinel|replicas"),
    by_hand=_CLI + " SENTINEL MASTERS",
)
async def sentinel_masters(session: SentinelSession) -> list[dict[str, Any]]:
    """Each primary it watches: where it is, how it is, its replicas and which of them could be promoted."""
    found: list[dict[str, Any]] = []
    for master in figures.entries(await session.call("SENTINEL", "MASTERS")):
        listed = figures.entries(await session.call("SENTINEL", "REPLICAS", master.get("name", "")))
        found.append(
            {
                "name": master.get("name"),
                "address": "{}:{}".format(*figures.address(master)),
                "flags": master.get("flags"),
                "quorum": int(master.get("quorum") or 0),
                "sentinels": int(master.get("num-other-sentinels") or 0) + 1,
                "replicas": {"{}:{}".format(*figures.address(one)): figures.good(one) for one in listed},
            }
        )
    return found


@tool(
    Effect.DISRUPTIVE,
    state=primaries,
    settle=15.0,
    timeout=_FAILOVER_SECONDS + 10.0,
    requires=(has_a_quorum, has_a_good_replica, is_not_failing_over),
    rights=commands("sentinel|masters", "sentinel|failover"),
    by_hand=_CLI + " SENTINEL FAILOVER {master}",
)
async def sentinel_failover(session: SentinelSession, master: Annotated[str, MinLen(1), MaxLen(200)]) -> dict[str, str]:
    """Promote a good replica of a primary (`master` is its name at the Sentinels) and make the primary a replica, in
    order: before a primary is restarted or worked on. Writes of the last moment that no replica has are lost."""
    before = await primaries(session)
    if master not in before:
        raise Refused(f"It watches no primary called {master!r}.", f"It watches {', '.join(before) or 'none'}.")
    reply = (await session.pipeline([("SENTINEL", "FAILOVER", master)], timeout=5.0))[0]
    if isinstance(reply, ServerSaid):
        raise Refused(f"The Sentinel refuses: {reply}.")
    loop = asyncio.get_running_loop()
    until = loop.time() + _FAILOVER_SECONDS
    while (after := await primaries(session)).get(master) == before[master]:
        if loop.time() >= until:
            raise WatchkeeperError(f"No replica was promoted within {_FAILOVER_SECONDS:g} s.")
        await asyncio.sleep(_POLL_SECONDS)
    return {"before": before[master], "now": after[master]}


TOOLS: tuple[Tool[SentinelSession], ...] = (sentinel_masters, sentinel_failover)
