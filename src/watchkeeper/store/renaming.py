"""A resource that bears another id from now on: everything that is kept of it follows."""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.store import schema

COLUMNS = (
    schema.incidents.c.root,
    schema.alerts.c.resource,
    schema.outside_alerts.c.resource,
    schema.requests.c.resource,
    schema.events.c.resource,
    schema.events.c.subject,
    schema.logs.c.resource,
)
BODIES = (
    schema.incidents.c.body,
    schema.alerts.c.body,
    schema.fixes.c.body,
    schema.approvals.c.body,
    schema.proposals.c.body,
    schema.traces.c.body,
    schema.outside_alerts.c.body,
    schema.windows.c.body,
    schema.silences.c.body,
    schema.drafts.c.body,
    schema.events.c.data,
    schema.settings.c.value,
)
ONE_EACH = (schema.fingerprints.c.id, schema.standings.c.resource)
"""Keys of tables that have one row of each resource at most."""


async def rename(connection: AsyncConnection, old: str, new: str) -> None:
    """Within one transaction. What people were told stays as it was said."""
    for column in COLUMNS:
        await connection.execute(sa.update(column.table).where(column == old).values({column: new}))
    token = re.compile(rf'(?<=["@,]){re.escape(json.dumps(old)[1:-1])}(?=["@,])')
    for column in BODIES:
        await _within(connection, column, old, partial(token.sub, lambda _: json.dumps(new)[1:-1]))
    for key in ONE_EACH:
        if (await connection.execute(sa.select(key).where(key == old))).first() is not None:
            await connection.execute(sa.delete(key.table).where(key == new))
            await connection.execute(
                sa.update(key.table)
                .where(key == old)
                .values({key: new, key.table.c.body: _said(connection, key.table, old, new)})
            )
    readings = schema.readings
    await connection.execute(
        sa.update(readings)
        .where(readings.c.resource == old)
        .values(resource=new, body=_said(connection, readings, old, new))  # many: the database does it by itself
    )
    await connection.execute(sa.delete(schema.resources).where(schema.resources.c.id == old))


async def _within(
    connection: AsyncConnection, column: sa.Column[Any], old: str, replaced: Callable[[str], str]
) -> None:
    keys = list(column.table.primary_key.columns)
    like = sa.cast(column, sa.Text).contains(json.dumps(old)[1:-1], autoescape=True)
    for row in (await connection.execute(sa.select(*keys, column).where(like))).all():
        text = json.dumps(row[-1])
        if (changed := replaced(text)) != text:
            same = [key == value for key, value in zip(keys, row[:-1], strict=True)]
            await connection.execute(sa.update(column.table).where(*same).values({column: json.loads(changed)}))


def _said(connection: AsyncConnection, table: sa.Table, old: str, new: str) -> Any:
    """The body, with the whole string `new` for `old`."""
    text = sa.func.replace(sa.cast(table.c.body, sa.Text), json.dumps(old), json.dumps(new))
    # SQLite keeps JSON as text, and a cast to JSON makes a number of it: 0.
    return sa.type_coerce(text, sa.JSON) if connection.dialect.name == "sqlite" else sa.cast(text, sa.JSON)
