"""Several executors on one store: each holds a lease on its own life, and shares of what is watched.

The lease is kept by the database's clock. Whoever lets it lapse is taken to be dead: another marks it so, and from then
on nothing it writes is taken (`Store.guard`), so that one that only stood still cannot go on as if nothing had been.
"""

import os
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.domain import Conflict, Event, now
from watchkeeper.domain.sharing import Share, decide
from watchkeeper.store import schema
from watchkeeper.store.lease import born
from watchkeeper.store.store import Store
from watchkeeper.store.transaction import Transaction, new_id

LIFETIME = timedelta(seconds=6)
"""How long an executor that is not heard of is taken to live; one whose process is seen to be dead is so at once."""
MARGIN = 0.5
"""Seconds before the lease ends, as this machine's clock has it, from which on nothing is done on it."""
FREE = 3.0
"""Seconds for which something nobody holds is left to those who have less to do."""
HANDLED = ("open", "diagnosing", "awaiting_approval", "fixing", "verifying")
_UNTIL = sa.func.clock_timestamp() + LIFETIME


class LeaseLost(Conflict):
    """Another executor has taken over what this one held: nothing may be done or written any more."""

    def __init__(self) -> None:
        super().__init__(
            "This executor was not heard of for too long, and another has taken over.", "Start it again: it joins anew."
        )


@dataclass(frozen=True, slots=True)
class Member:
    """An executor that lives."""

    id: str
    host: str
    pid: int
    address: str
    since: datetime
    holds: int = 0


def clock() -> float:
    """Seconds that go on while a process is stopped or its machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def machine() -> str:
    """What tells whose process ids these are: the boot, and the namespace."""
    with suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


class Shares:
    """This executor's place among those on one store."""

    def __init__(self, store: Store, address: str) -> None:
        self.id = new_id("exec")
        self.held: frozenset[str] = frozenset()
        self._store = store
        self._address = address
        self._deadline = 0.0
        self._fair_from = 0.0
        self._free: dict[frozenset[str], float] = {}

    async def join(self) -> None:
        """From now on it lives, and everything written is written in its name."""
        began = clock()
        row = {
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "born": born(os.getpid()),
            "address": self._address,
            "since": now(),
            "until": _UNTIL,
        }
        async with self._store.transaction() as transaction:
            await transaction.connection.execute(sa.insert(schema.executors).values(id=self.id, **row))
            text = f"executor {self.id} joins (process {os.getpid()} on {row['host']})"
            await transaction.emit(Event("executor.joined", self.id, text, now()))
        self._deadline = began + LIFETIME.total_seconds()
        self._store.guard = self._guard

    async def leave(self) -> None:
        """Its share is free at once."""
        with suppress(LeaseLost):
            async with self._store.transaction() as transaction:
                await self._let_go(transaction, self.id, f"executor {self.id} leaves")

    async def renew(self, store: Store | None = None) -> None:
        """Go on living. Raises LeaseLost."""
        began, table = clock(), schema.executors
        query = sa.update(table).where(table.c.id == self.id, table.c.lost_at.is_(None)).values(until=_UNTIL)
        async with (store or self._store).transaction(alone=False) as transaction:
            done = await transaction.connection.execute(query)
        if done.rowcount == 0:
            raise LeaseLost
        if began > self._deadline:  # the store was away, for the others too: they are given time to come back
            self._fair_from = began + LIFETIME.total_seconds()
        self._deadline = began + LIFETIME.total_seconds()

    def check(self) -> None:
        """Raises LeaseLost where the lease may have ended, as far as can be told without asking."""
        if clock() > self._deadline - MARGIN:
            raise LeaseLost

    async def confirm(self, resource: str) -> None:
        """Ask the store that this executor lives, and holds the resource; waits while it is away.

        Raises LeaseLost, Conflict.
        """
        patient = self._store.patiently()
        await self.renew(patient)
        table = schema.shares
        async with patient.transaction() as transaction:
            query = sa.select(table.c.holder).where(table.c.resource == resource)
            holder = (await transaction.connection.execute(query)).scalar()
        if holder != self.id:
            raise Conflict(f"{resource} is another executor's now ({holder or 'nobody'}).")

    async def turn(self, groups: Sequence[frozenset[str]]) -> frozenset[str]:
        """Renew, bury the dead, take and offer; gives what is held now. `groups` are what can be reached from here."""
        await self.renew()
        began = clock()
        was_free, self._free = self._free, {}

        def waited(group: frozenset[str]) -> bool:
            since = self._free[group] = was_free.get(group, began)
            return began - since > FREE

        async with self._store.transaction() as transaction:
            connection = transaction.connection
            alive = await self._living(transaction)
            rows = (await connection.execute(sa.select(schema.shares))).mappings().all()
            shares = {row["resource"]: Share(row["holder"], row["offered"]) for row in rows}
            moves = decide(self.id, alive, shares, groups, await self._pinned(connection), waited)
            await self._apply(connection, shares, moves.take, moves.offer, {key for group in groups for key in group})
            held = {key for key, share in shares.items() if share.holder == self.id} | moves.take
            if moves.take or moves.offer:
                transaction.tell = True
        self.held = frozenset(held & {key for group in groups for key in group})
        return self.held

    async def members(self) -> list[Member]:
        """Those that live, the oldest first."""
        table, shares = schema.executors, schema.shares
        query = (
            sa.select(table, sa.func.count(shares.c.resource).label("holds"))
            .outerjoin(shares, shares.c.holder == table.c.id)
            .where(table.c.lost_at.is_(None))
            .group_by(table.c.id)
            .order_by(table.c.since)
        )
        rows = await self._store.rows(query)
        return [Member(r["id"], r["host"], r["pid"], r["address"], r["since"], r["holds"]) for r in rows]

    async def holders(self) -> Mapping[str, str]:
        """Who holds each resource, by the executor's id."""
        rows = await self._store.rows(sa.select(schema.shares.c.resource, schema.shares.c.holder))
        return {row["resource"]: row["holder"] for row in rows}

    async def _guard(self, connection: AsyncConnection) -> None:
        """Called in every transaction once nobody else writes."""
        table = schema.executors
        query = sa.select(table.c.id).where(table.c.id == self.id, table.c.lost_at.is_(None))
        if (await connection.execute(query)).scalar() is None:
            self._deadline = 0.0
            raise LeaseLost

    async def _living(self, transaction: Transaction) -> set[str]:
        """Those whose lease holds; the others are marked, and what they held is free."""
        table = schema.executors
        query = sa.select(table, (table.c.until < sa.func.clock_timestamp()).label("late")).where(
            table.c.lost_at.is_(None)
        )
        alive = {self.id}
        for row in (await transaction.connection.execute(query)).mappings().all():
            if row["id"] == self.id:
                continue
            dead = row["machine"] == machine() != "" and born(row["pid"]) != row["born"]
            if dead or (row["late"] and clock() > self._fair_from):
                why = "its process is dead" if dead else f"not heard of for {LIFETIME.total_seconds():g} s"
                await self._let_go(transaction, row["id"], f"executor {row['id']} is lost ({why})", row["until"])
            else:
                alive.add(row["id"])
        return alive

    async def _let_go(self, transaction: Transaction, who: str, text: str, until: datetime | None = None) -> None:
        table, shares = schema.executors, schema.shares
        same = sa.update(table).where(table.c.id == who, table.c.lost_at.is_(None))
        if until is not None:
            same = same.where(table.c.until == until)  # it may have renewed it this very moment
        if (await transaction.connection.execute(same.values(lost_at=now()))).rowcount:
            freed = sa.update(shares).where(shares.c.holder == who).values(holder="", offered=False)
            await transaction.connection.execute(freed)
            await transaction.emit(Event("executor.lost" if until else "executor.left", who, text, now()))

    async def _pinned(self, connection: AsyncConnection) -> set[str]:
        """What has an incident that is being handled, or a fix of its own that is under way."""
        incidents, fixes = schema.incidents, schema.fixes
        pinned: set[str] = set()
        query = sa.select(incidents.c.body).where(incidents.c.status.in_(HANDLED))
        for body in (await connection.execute(query)).scalars():
            pinned |= {body["root"], *body["resources"]}
        query = sa.select(fixes.c.body).where(fixes.c.status != "closed", fixes.c.incident.is_(None))
        for body in (await connection.execute(query)).scalars():
            pinned |= {step["resource"] for step in body["plan"]["steps"]}
        return pinned

    async def _apply(
        self,
        connection: AsyncConnection,
        shares: Mapping[str, Share],
        take: Collection[str],
        offer: Collection[str],
        known: Collection[str],
    ) -> None:
        table = schema.shares
        if fresh := [key for key in take if key not in shares]:
            rows: list[dict[str, Any]] = [{"resource": key, "holder": self.id, "offered": False} for key in fresh]
            await connection.execute(sa.insert(table), rows)
        if taken := [key for key in take if key in shares]:
            query = sa.update(table).where(table.c.resource.in_(taken))
            await connection.execute(query.values(holder=self.id, offered=False))
        mine = {key: share for key, share in shares.items() if share.holder == self.id}
        for offered in (True, False):
            changed = [key for key, share in mine.items() if (key in offer) is offered is not share.offered]
            if changed:
                query = sa.update(table).where(table.c.resource.in_(changed)).values(offered=offered)
                await connection.execute(query)
        if gone := [key for key in mine if key not in known]:
            await connection.execute(sa.delete(table).where(table.c.resource.in_(gone)))
