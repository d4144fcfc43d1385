"""A setting of the whole server that is taken over without a restart."""

import asyncio
from collections.abc import Awaitable, Callable

from watchkeeper.connectors.postgres.session import PostgresSession

_SECONDS = 5.0
_POLL_SECONDS = 0.05


async def alter_system(session: PostgresSession, change: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """`ALTER SYSTEM change`, and wait until `holds`: servers tell nobody when they have read their settings.

    Raises Trouble, and TimeoutError where it does not hold within 5 s.
    """
    await session.query(f"ALTER SYSTEM {change}", timeout=_SECONDS)
    await session.query("SELECT pg_reload_conf()")
    async with asyncio.timeout(_SECONDS):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
