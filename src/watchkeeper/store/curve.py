"""Readings of a time for a chart: all of them, or so many that a chart shows as much."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from watchkeeper.domain import Reading
from watchkeeper.domain.trace import MOST
from watchkeeper.store import schema
from watchkeeper.store.store import Store

NEAR = timedelta(seconds=30)
_AT_ONCE = 200


async def curve(
    store: Store,
    resource: str,
    since: datetime,
    until: datetime,
    around: Iterable[datetime] = (),
    most: int = MOST,
) -> tuple[list[Reading], int]:
    """At most so many readings, oldest first, and how many there are: half of them the nearest to the moments `around`,
    the others spread evenly."""
    table = schema.readings
    wanted = (table.c.resource == resource, table.c.at >= since, table.c.at < until)
    times = [row["at"] for row in await store.rows(sa.select(table.c.at).where(*wanted).order_by(table.c.at))]
    chosen = thinned(times, list(around), most)
    found: list[Reading] = []
    for begin in range(0, len(chosen), _AT_ONCE):
        part = chosen[begin : begin + _AT_ONCE]
        query = sa.select(table.c.at, table.c.body).where(table.c.resource == resource, table.c.at.in_(part))
        rows = await store.rows(query.order_by(table.c.at))
        found += store.made.all(Reading, table.name, (((resource, row["at"]), row["body"]) for row in rows))
    return found, len(times)


def thinned(times: Sequence[datetime], around: Sequence[datetime], most: int = MOST) -> list[datetime]:
    """So many of the times, in their order."""
    if len(times) <= most:
        return list(times)
    near = [at for at in times if any(abs(at - moment) <= NEAR for moment in around)]
    near = near[:: -(-len(near) // (most // 2))] if near else []
    rest = most - len(near) - 1
    even = [times[number * (len(times) - 1) // (rest - 1)] for number in range(rest)]
    return sorted({*near, *even})
