"""What is written together: values, the events that tell of them, readings, log lines, settings."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from watchkeeper.domain import (
    Alert,
    Approval,
    Event,
    Fix,
    Incident,
    LogLine,
    Reading,
    Resource,
    Silence,
    Stop,
    Window,
    now,
)
from watchkeeper.domain.access import Token
from watchkeeper.domain.change import Fingerprint
from watchkeeper.domain.conversation import Conversation
from watchkeeper.domain.draft import Draft
from watchkeeper.domain.interaction import Interaction
from watchkeeper.domain.notification import Letter, Thread
from watchkeeper.domain.outside import OutsideAlert
from watchkeeper.domain.proposal import Proposal
from watchkeeper.domain.trace import Trace
from watchkeeper.store import schema
from watchkeeper.store.masking import Masker
from watchkeeper.store.opening import plain

Kept = (
    Incident
    | Alert
    | Fix
    | Approval
    | Proposal
    | Fingerprint
    | Window
    | Silence
    | Trace
    | OutsideAlert
    | Token
    | Stop
    | Letter
    | Thread
    | Interaction
    | Draft
    | Conversation
)
E = TypeVar(
    "E",
    Incident,
    Alert,
    Fix,
    Approval,
    Proposal,
    Fingerprint,
    Window,
    Silence,
    Trace,
    OutsideAlert,
    Token,
    Stop,
    Letter,
    Thread,
    Interaction,
    Draft,
    Conversation,
)


@cache
def adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """How a value of this type becomes JSON and comes back."""
    return TypeAdapter(kind)


TABLES: dict[type[Any], tuple[sa.Table, Callable[[Any], dict[str, Any]]]] = {
    Incident: (schema.incidents, lambda i: {"status": i.status, "root": i.root, "at": i.opened_at}),
    Alert: (
        schema.alerts,
        lambda a: {"status": a.status, "incident": a.incident, "resource": a.resource, "at": a.pending_at},
    ),
    Fix: (
        schema.fixes,
        lambda f: {
            "status": f.status,
            "incident": f.incident,
            "at": f.started_at,
            "archived": f.archived.at if f.archived else None,
        },
    ),
    Stop: (schema.stops, lambda s: {"at": s.at}),
    Approval: (schema.approvals, lambda a: {"status": a.status, "incident": a.incident, "at": a.created_at}),
    Proposal: (schema.proposals, lambda p: {"status": p.status, "incident": p.incident, "at": p.decided_at}),
    Window: (schema.windows, lambda w: {"status": w.status, "at": w.begins}),
    Silence: (schema.silences, lambda s: {"status": s.status, "at": s.begins}),
    Token: (schema.tokens, lambda t: {"status": t.status, "at": t.created_at}),
    Trace: (schema.traces, lambda t: {"incident": t.incident, "at": t.at}),
    OutsideAlert: (schema.outside_alerts, lambda a: {"status": a.status, "resource": a.resource, "at": a.began_at}),
    Fingerprint: (schema.fingerprints, lambda f: {"at": f.at}),
    Letter: (schema.letters, lambda t: {"status": t.status, "channel": t.channel, "at": t.at}),
    Thread: (schema.threads, lambda t: {"at": t.at}),
    Interaction: (
        schema.interactions,
        lambda i: {
            "status": i.status,
            "incident": i.incident,
            "model": i.model,
            "at": i.at,
            "tokens": i.tokens,
            "cost": i.cost,
        },
    ),
    Draft: (schema.drafts, lambda d: {"status": d.status, "at": d.at}),
    Conversation: (schema.conversations, lambda c: {"by": c.by.id, "at": c.at}),
}


def new_id(prefix: str) -> str:
    """A short id people can read out: `inc-3f9a1c2b`."""
    return f"{prefix}-{secrets.token_hex(4)}"


class Transaction:
    """What is written together."""

    def __init__(self, connection: AsyncConnection, masker: Masker) -> None:
        self.connection = connection
        self._masker = masker
        self.shared = connection.dialect.name == "postgresql"
        self.emitted: list[Event] = []
        self.tell = False
        """Whether other executors are to hear of it although it tells of no event."""

    async def put(self, value: Kept) -> None:
        """Insert or replace."""
        table, columns = TABLES[type(value)]
        body = adapter(type(value)).dump_python(self._masker.value(value), mode="json")
        row = columns(value) | {"body": body}
        changed = await self.connection.execute(sa.update(table).where(table.c.id == value.id).values(**row))
        if changed.rowcount == 0:
            await self.connection.execute(sa.insert(table).values(id=value.id, **row))

    async def emit(self, event: Event) -> None:
        """Append to the history."""
        event = self._masker.value(event)
        row = adapter(Event).dump_python(event, mode="json")
        row.pop("seq")
        row["text"] = plain(event.text)
        done = await self.connection.execute(sa.insert(schema.events).values(**row | {"at": event.at}))
        key = done.inserted_primary_key
        self.emitted.append(replace(event, seq=int(key[0]) if key else 0))

    async def put_resource(self, resource: Resource, *, gone: bool = False) -> None:
        """Remember a resource; credentials in its settings are references and stay so."""
        await self.put_resources([resource], gone=gone)

    async def put_resources(self, resources: Iterable[Resource], *, gone: bool = False) -> None:
        """Remember many at once."""
        at = now()
        rows = [
            {
                "id": resource.id,
                "seen_at": at,
                "gone_at": at if gone else None,
                "body": adapter(Resource).dump_python(self._masker.value(resource), mode="json"),
            }
            for resource in resources
        ]
        if rows:
            insert = (postgresql.insert if self.shared else sqlite.insert)(schema.resources)
            fresh = {name: insert.excluded[name] for name in ("seen_at", "gone_at", "body")}
            await self.connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=fresh), rows)

    async def keep_readings(self, readings: Iterable[Reading]) -> None:
        """Each reading is kept once, however often it is given."""
        rows = [
            {
                "resource": reading.resource,
                "at": reading.at,
                "body": adapter(Reading).dump_python(self._masker.value(reading), mode="json"),
            }
            for reading in readings
        ]
        if rows:
            insert = postgresql.insert if self.shared else sqlite.insert
            await self.connection.execute(insert(schema.readings).on_conflict_do_nothing(), rows)

    async def keep_logs(self, lines: Iterable[LogLine]) -> None:
        rows = [
            {"resource": ln.resource, "at": ln.at, "level": ln.level, "text": plain(self._masker.text(ln.text))}
            for ln in lines
        ]
        if rows:
            await self.connection.execute(sa.insert(schema.logs), rows)

    async def set(self, key: str, value: Any) -> None:
        value = self._masker.value(value)
        changed = await self.connection.execute(
            sa.update(schema.settings).where(schema.settings.c.key == key).values(value=value)
        )
        if changed.rowcount == 0:
            await self.connection.execute(sa.insert(schema.settings).values(key=key, value=value))
