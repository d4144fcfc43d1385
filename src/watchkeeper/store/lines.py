"""Log lines by their numbers: what somebody missed who follows them."""

import sqlalchemy as sa

from watchkeeper.domain import LogLine
from watchkeeper.store import schema
from watchkeeper.store.store import Store


async def newest(store: Store) -> int:
    """The number of the last line; 0 where there is none."""
    found = await store.rows(sa.select(sa.func.max(schema.logs.c.seq).label("seq")))
    return found[0]["seq"] or 0


async def since(store: Store, after: int, *, until: int | None = None, limit: int) -> list[tuple[int, LogLine]]:
    """Lines with `after < seq <= until`, oldest first, with their numbers."""
    table = schema.logs
    query = sa.select(table).where(table.c.seq > after).order_by(table.c.seq).limit(limit)
    if until is not None:
        query = query.where(table.c.seq <= until)
    return [
        (row["seq"], LogLine(row["at"], row["level"], row["text"], row["resource"])) for row in await store.rows(query)
    ]
