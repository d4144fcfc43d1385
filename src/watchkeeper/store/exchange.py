"""What executors on one store tell and ask each other, through it: no executor needs to reach another."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from watchkeeper.domain import Conflict, now
from watchkeeper.store import schema
from watchkeeper.store.store import Store
from watchkeeper.store.transaction import new_id

OLD = timedelta(minutes=10)
"""Requests are forgotten after so long, answered or not."""


class Exchange:
    """How each resource stands, told by who looks at it; and what is asked of who holds a resource."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tell(self, standings: Mapping[str, Any]) -> None:
        """How resources stand, for those who do not look at them."""
        if not standings:
            return
        masked = self._store.masker.value
        rows = [{"resource": key, "at": now(), "body": masked(body)} for key, body in sorted(standings.items())]
        query = postgresql.insert(schema.standings)
        query = query.on_conflict_do_update(
            index_elements=["resource"], set_={"at": query.excluded.at, "body": query.excluded.body}
        )
        async with self._store.transaction(alone=False) as transaction:
            await transaction.connection.execute(query, rows)

    async def standings(self) -> dict[str, tuple[datetime, Any]]:
        """When each was last told of, and what."""
        table = schema.standings
        return {row["resource"]: (row["at"], row["body"]) for row in await self._store.rows(sa.select(table))}

    async def ask(self, resource: str, body: Any, seconds: float) -> Any:
        """What the holder of a resource answers. Raises Conflict where it does not within so many seconds."""
        key, table = new_id("ask"), schema.requests
        async with self._store.transaction() as transaction:
            row = {"id": key, "resource": resource, "at": now(), "status": "waiting", "body": body}
            await transaction.connection.execute(sa.insert(table).values(**row))
            transaction.tell = True
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await self._store.news(0.5)
            found = await self._store.rows(sa.select(table.c.body).where(table.c.id == key, table.c.status == "done"))
            if found:
                return found[0]["body"]
        async with self._store.transaction() as transaction:  # nobody shall do it when nobody waits for it any more
            await transaction.connection.execute(sa.delete(table).where(table.c.id == key, table.c.status == "waiting"))
        raise Conflict("The executor that holds it does not answer.", "`watchkeeper status` shows who holds what.")

    async def take(self, held: Collection[str]) -> list[tuple[str, Any]]:
        """What is asked of who holds these: id and body, each given once."""
        table = schema.requests
        query = sa.select(table).where(table.c.status == "waiting").order_by(table.c.at)
        mine = [row for row in await self._store.rows(query) if row["resource"] in held]
        if not mine:
            return []
        keys = [row["id"] for row in mine]
        async with self._store.transaction() as transaction:
            taken = sa.update(table).where(table.c.id.in_(keys), table.c.status == "waiting").values(status="taken")
            got = set((await transaction.connection.execute(taken.returning(table.c.id))).scalars())
            await transaction.connection.execute(sa.delete(table).where(table.c.at < now() - OLD))
        return [(row["id"], row["body"]) for row in mine if row["id"] in got]

    async def answer(self, key: str, body: Any) -> None:
        async with self._store.transaction() as transaction:
            query = sa.update(schema.requests).where(schema.requests.c.id == key).values(status="done", body=body)
            await transaction.connection.execute(query)
            transaction.tell = True
