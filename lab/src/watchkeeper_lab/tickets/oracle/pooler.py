"""The pooler, as its clients and its administrator see it."""

import asyncio

import psycopg

from watchkeeper_lab.oracle.finding import Finding, Place, brief
from watchkeeper_lab.tickets.links import pooler_admin, through_pooler

WAIT_SECONDS = 5.0
"""How long a client may wait for a session of the server."""


async def look(place: Place) -> Finding:
    """A query through each pool, and who waits."""
    found = Finding()
    try:
        async with asyncio.timeout(2 * WAIT_SECONDS):
            for database, user in (("tickets", "desk"), ("mailroom", "mailer")):
                async with through_pooler(place.instance, database, user) as connection:
                    await connection.execute("SELECT 1")
    except (psycopg.Error, OSError) as error:
        found.reasons.append(f"the pooler did not serve a query: {brief(error) or 'no answer in time'}")
    try:
        async with asyncio.timeout(WAIT_SECONDS), pooler_admin(place.instance) as connection:
            cursor = await connection.execute("SHOW POOLS")
            names = [one.name for one in cursor.description or ()]
            pools = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
        longest = max((float(one["maxwait"]) for one in pools), default=0.0)
        found.facts["pooler_clients_waiting"] = sum(int(one["cl_waiting"]) for one in pools)
        if longest >= WAIT_SECONDS:
            found.reasons.append(f"a client of the pooler has waited for {longest:.0f} s")
    except (psycopg.Error, OSError) as error:
        found.reasons.append(f"the pooler's console does not answer: {brief(error)}")
    return found
