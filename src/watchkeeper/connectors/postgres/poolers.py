"""Whether sessions come from a pooler: each of those serves many clients, so ending them helps nobody."""

import asyncio
import contextlib
import ipaddress

from watchkeeper.connectors.postgres.session import PostgresSession

PORTS = (6432, 5432, 9999)
"""Where poolers listen by default: PgBouncer, Odyssey and PgCat; one in the place of a server; Pgpool."""
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""Asks a server whether it would encrypt, before anything is said of who one is; answered with one letter
(postgresql.org/docs, "Message Formats", SSLRequest)."""
_SECONDS = 0.15
_KNOWN_SECONDS = 300.0


async def is_pooler(session: PostgresSession, address: str) -> bool:
    """Whether the clients at an address are a pooler: named in the settings (`poolers`), or PostgreSQL's language is
    spoken there, too. Of this machine's own address only the settings tell: everybody here has it."""
    bare = address.partition("/")[0]
    if bare in session.poolers:
        return True
    if not bare or _is_everybodys(bare):
        return False
    loop = asyncio.get_running_loop()
    known, until = session.pooler_at.get(bare, (False, 0.0))
    if loop.time() >= until:
        answers = await asyncio.gather(*(speaks_postgres(bare, port) for port in PORTS))
        known = any(answers)
        session.pooler_at[bare] = (known, loop.time() + _KNOWN_SECONDS)
    return known


def _is_everybodys(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True


async def speaks_postgres(address: str, port: int) -> bool:
    """Whether PostgreSQL's language is spoken there."""
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(_SSL_REQUEST)
                return await reader.read(1) in (b"S", b"N")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except OSError:  # TimeoutError is one
        return False
