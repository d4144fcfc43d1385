"""Ending idle connections, and getting in where none is free."""

import asyncio
from ipaddress import ip_address

from watchkeeper.connectors.redis import sockets
from watchkeeper.connectors.redis.figures import clients
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.trouble import Trouble, lacking, trouble
from watchkeeper.connectors.redis.wire import ServerSaid
from watchkeeper.domain import Refused

_BATCH = 500
_ATTEMPTS = 6
_NOTICE_SECONDS = 0.02
"""How long the server may take to notice that a connection was ended: its next turn of the event loop."""


async def end_idle(redis: RedisSession, address: str, min_idle_seconds: int) -> int:
    """End the idle plain connections of one IP; how many there were. Raises Trouble, Refused."""
    wanted = _normal(address)
    listed = clients(await redis.call("CLIENT", "LIST", timeout=5.0))
    idle = [c for c in listed if c.killable and c.idle >= min_idle_seconds and c.address == wanted]
    if not idle:
        there = sum(c.address == wanted for c in listed)
        raise Refused(
            f"{wanted} has no plain connection idle for {min_idle_seconds} s or more ({there} connections in all)."
        )
    ended = 0
    for begin in range(0, len(idle), _BATCH):
        kills = [("CLIENT", "KILL", "ID", client.id) for client in idle[begin : begin + _BATCH]]
        replies = await redis.pipeline(kills, timeout=5.0)
        if refused := next((reply for reply in replies if isinstance(reply, ServerSaid) and lacking(reply)), None):
            raise trouble(refused)
        ended += sum(reply == 1 for reply in replies)
    return ended


async def get_in(redis: RedisSession, address: str) -> int:
    """Free slots of one IP by ending connections from below until we have one; how many it took.

    Whoever lost the connection may take the slot again before us: each attempt frees one more than the last.
    Raises Refused where this cannot be done here.
    """
    wanted = _normal(address)
    state = await redis.host.state() if redis.host else None
    if state is None or not state.pid or redis.far:
        raise Refused("All connections are taken, and the server's process is not known here: no slot can be freed.")
    port, freed = await redis.port(), 0
    for attempt in range(1, _ATTEMPTS + 1):
        victims = sockets.quietest(await sockets.connections(state.pid, port), wanted)[:attempt]
        if not victims:
            raise Refused(f"All connections are taken, but none of them by {wanted}.")
        for victim in victims:
            await sockets.end(state.pid, port, victim)
            freed += 1
        for _ in range(5):
            try:
                await redis.call("PING")
                return freed
            except Trouble as problem:
                if problem.category != "exhausted":
                    raise
            await asyncio.sleep(_NOTICE_SECONDS)
    raise Refused(f"{freed} connections of {wanted} were ended, but others took their slots before us each time.")


def _normal(address: str) -> str:
    """The address as the server writes it. Raises Refused for what is no IP: a port, a name, a pattern."""
    try:
        return str(ip_address(address.strip().removeprefix("::ffff:")))
    except ValueError:
        raise Refused(f"{address!r} is not an IP address.") from None
