"""What can be done for replicas that begin anew again and again."""

from typing import Annotated

from annotated_types import Ge, Le

from watchkeeper.connectors.redis import preconditions
from watchkeeper.connectors.redis.figures import pairs
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import Effect, tool
from watchkeeper.domain.rights import commands


async def backlog(redis: RedisSession) -> int:
    """The present size in bytes."""
    return int(pairs(await redis.call("CONFIG", "GET", "repl-backlog-size"))["repl-backlog-size"])


@tool(
    Effect.REVERSIBLE,
    state=backlog,
    settle=20.0,
    timeout=5.0,
    requires=(preconditions.is_more,),
    rights=commands("config|get", "config|set"),
    by_hand="{inside}redis-cli{at} CONFIG SET repl-backlog-size {value}",
)
async def redis_set_repl_backlog(redis: RedisSession, value: Annotated[int, Ge(16384), Le(1 << 32)]) -> dict[str, int]:
    """Keep more of the last changes (`repl-backlog-size`, in bytes), so that a replica that was away for a moment goes
    on where it was, instead of being sent everything. Until the next restart: the file is not changed."""
    before = await backlog(redis)
    await redis.call("CONFIG", "SET", "repl-backlog-size", value)
    redis.part.resyncs.clear()  # from here on it counts anew
    return {"before": before, "now": await backlog(redis)}


@redis_set_repl_backlog.undo
async def restore_backlog(redis: RedisSession, before: int) -> None:
    """The size as it was."""
    await redis.call("CONFIG", "SET", "repl-backlog-size", before)
