"""Parts of the history, chosen by the database where it can: what somebody missed who comes back."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from watchkeeper.domain import Event
from watchkeeper.store import schema
from watchkeeper.store.store import Store


async def newest(store: Store) -> int:
    """The number of the last event; 0 where there is none."""
    found = await store.rows(sa.select(sa.func.max(schema.events.c.seq).label("seq")))
    return found[0]["seq"] or 0


async def between(
    store: Store, after: int, until: int, *, kinds: Sequence[str] = (), incident: str | None = None, limit: int
) -> list[Event]:
    """Events with `after < seq <= until`, oldest first. Of kinds that match one of these globs, letters of either case
    taken for the same, so that it may be more than was asked for; of one incident."""
    table = schema.events
    query = sa.select(table).where(table.c.seq > after, table.c.seq <= until).order_by(table.c.seq).limit(limit)
    if incident is not None:
        query = query.where(table.c.incident == incident)
    if kinds and not any("[" in glob for glob in kinds):
        query = query.where(sa.or_(*(table.c.kind.like(_like(glob), escape="\\") for glob in kinds)))
    return [Event(**dict(row)) for row in await store.rows(query)]


async def seen_last(store: Store, resources: Sequence[str]) -> dict[str, datetime]:
    """When the last reading that is kept was taken, of each that has one."""
    table = schema.readings
    query = sa.select(table.c.resource, sa.func.max(table.c.at).label("at")).where(table.c.resource.in_(resources))
    return {row["resource"]: row["at"] for row in await store.rows(query.group_by(table.c.resource))}


def _like(glob: str) -> str:
    r"""
    >>> _like("fix.*"), _like("a_b?")
    ('fix.%', 'a\\_b_')
    """
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")
