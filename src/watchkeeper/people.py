"""What people say about an incident: that they look after it, that the loop stops, tries again, or hands it over.

Each is one transaction, on whichever executor it was said: a row that the loop reads before it does anything more, and
an event by which whoever handles the incident hears of it.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from watchkeeper.closing import closed_by_hand
from watchkeeper.domain import (
    LOOP,
    Approval,
    Conflict,
    Event,
    Fix,
    Incident,
    Principal,
    Said,
    Stop,
    now,
)
from watchkeeper.incidents import Desk
from watchkeeper.store import Store
from watchkeeper.store.transaction import Transaction


class People:
    """Each raises NotFound, and Conflict where the incident's state does not allow it. What holds already is not said
    again: the incident is given as it is."""

    def __init__(self, store: Store, desk: Desk) -> None:
        self._store = store
        self._desk = desk

    async def acknowledge(self, key: str, who: Principal, note: str) -> Incident:
        """Somebody looks after it. Nothing else changes."""
        async with self._turn(key) as (transaction, incident):
            _not_over(incident)
            known = incident.acknowledged
            if known is not None and (known.by, known.note) == (who.id, note or known.note):
                return incident
            said = Said(who.id, now(), note)
            incident = incident.acknowledge(said)
            await transaction.put(incident)
            text = f"{who.name} looks after it" + _noted(note)
            await transaction.emit(_event("incident.acknowledged", incident, text, said))
        return incident

    async def stop(self, key: str, who: Principal, note: str, *, undo: bool) -> Incident:
        """Let the fix that is at work begin no further step, and leave the incident to people."""
        async with self._turn(key) as (transaction, incident):
            _not_over(incident)
            said = Said(who.id, now(), note)
            fix = await self._store.find(Fix, incident.open_fix) if incident.open_fix else None
            halts = fix is not None and await self._halt(transaction, fix, said, undo)
            if incident.left is not None and incident.closing is None and not halts:
                return incident
            left = incident.leave(incident.left or said)
            await self._let_go(transaction, incident, f"{who.name} stopped it")
            await transaction.put(left)
            does = f"{fix.plan.author} begins no further step" if fix else "nothing was at work"
            does += ", and what it did is taken back" if fix and undo else ""
            text = f"{who.name} stops it: {does}; it is left to people{_noted(note)}"
            await transaction.emit(_event("incident.stopped", left, text, said, fix=fix.id if fix else None, undo=undo))
            if left.status == "escalated" != incident.status:
                await transaction.emit(_event("incident.escalated", left, left.reason, said))
        self._desk.wake(key)
        return left

    async def stop_fix(self, key: str, who: Principal, note: str, *, undo: bool) -> Fix:
        """The same by the fix; one that belongs to no incident is only stopped."""
        fix = await self._store.get(Fix, key)
        if fix.incident is not None:
            incident = await self._store.get(Incident, fix.incident)
            if incident.open_fix != key:
                raise Conflict(f"{key} is over.", _BACK.format(key=key))
            await self.stop(incident.id, who, note, undo=undo)
            return fix
        said = Said(who.id, now(), note)
        async with self._desk.writing, self._store.transaction() as transaction:
            fix = await self._store.get(Fix, key)
            if fix.status == "closed" or fix.verdict is not None:
                raise Conflict(f"{key} is over.", _BACK.format(key=key))
            if await self._halt(transaction, fix, said, undo):
                text = f"{who.name} stops it: it begins no further step{_noted(note)}"
                data: dict[str, object] = {"note": note, "undo": undo}
                at = Event("fix.stopping", key, text, said.at, said.by, resource=fix.plan.resources[0], data=data)
                await transaction.emit(at)
        return fix

    async def retry(self, key: str, who: Principal, note: str) -> Incident:
        """It is the loop's again: what failed or was refused may be tried again."""
        async with self._turn(key) as (transaction, incident):
            _not_over(incident)
            _no_fix(incident)
            await self._undecided(incident)
            anew = incident.retry()
            if anew == incident:
                return incident
            said = Said(who.id, now(), note)
            await transaction.put(anew)
            text = f"{who.name} has it tried again{_noted(note)}"
            await transaction.emit(_event("incident.retried", anew, text, said))
        self._desk.wake(key)
        return anew

    async def escalate(self, key: str, who: Principal, note: str) -> Incident:
        """Hand it to people; the loop leaves it to them. A fix that is at work begins no further step, and it is theirs
        once the one that was begun has ended."""
        async with self._turn(key) as (transaction, incident):
            _not_over(incident)
            if incident.left is not None and incident.closing is None:
                return incident
            said = Said(who.id, now(), note)
            left = incident.leave(said)
            await self._let_go(transaction, incident, f"{who.name} handed it to people")
            await transaction.put(left)
            text = f"{who.name} hands it to people{_noted(note)}"
            if incident.open_fix:
                await self._halt_open(transaction, incident, said)
                await transaction.emit(_event("incident.stopped", left, f"{text}; {_AFTER}", said))
            else:
                await transaction.emit(_event("incident.escalated", left, text, said))
        self._desk.wake(key)
        return left

    async def close(self, key: str, who: Principal, note: str) -> Incident:
        """It is over because somebody says so: `by_human`, never `healed`. What fires still is told. A fix that is at
        work begins no further step, and it is over once the one that was begun has ended and is recorded."""
        async with self._turn(key) as (transaction, incident):
            if incident.outcome == "by_human":
                return incident
            _not_over(incident)
            said = Said(who.id, now(), note)
            if incident.open_fix:
                return await self._close_later(transaction, incident, said, who)
            closed = await closed_by_hand(self._store, incident, said)
            await self._let_go(transaction, incident, f"{who.name} closed the incident")
            await transaction.put(closed)
            text = f"by_human: {closed.reason}"
            await transaction.emit(_event("incident.closed", closed, text, said))
        if self._desk.watch is not None:
            self._desk.watch.busy.difference_update(closed.resources)
        return closed

    # How ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncGenerator[tuple[Transaction, Incident]]:
        """The incident as it is, and nobody else writes."""
        async with self._desk.writing, self._store.transaction() as transaction:
            yield transaction, await self._store.get(Incident, key)

    async def _close_later(self, transaction: Transaction, incident: Incident, said: Said, who: Principal) -> Incident:
        """Nothing goes on meanwhile; the change by which the fix is over closes it."""
        if incident.closing is not None:
            return incident
        later = incident.close_later(said)
        await self._halt_open(transaction, incident, said)
        await self._let_go(transaction, incident, f"{who.name} closed the incident")
        await transaction.put(later)
        text = f"{who.name} closes it{_noted(said.note)}; {_AFTER}"
        await transaction.emit(_event("incident.closing", later, text, said))
        return later

    async def _halt_open(self, transaction: Transaction, incident: Incident, said: Said) -> None:
        """The fix at work begins no further step. Whoever stopped it first said whether what it did is taken back."""
        fix = await self._store.find(Fix, incident.open_fix) if incident.open_fix else None
        if fix is not None and await self._store.find(Stop, fix.id) is None:
            await self._halt(transaction, fix, said, undo=False)

    async def _halt(self, transaction: Transaction, fix: Fix, said: Said, undo: bool) -> bool:
        """Whether that was not said already."""
        known = await self._store.find(Stop, fix.id)
        if fix.status == "closed" or (known is not None and known.undo == undo):
            return False
        await transaction.put(Stop(fix.id, said, undo))
        return True

    async def _let_go(self, transaction: Transaction, incident: Incident, reason: str) -> None:
        """What waits for a yes, or was agreed to and not begun, is not begun any more."""
        for approval in await self._store.select(Approval, incident=incident.id, status=("waiting", "approved")):
            if approval.status == "waiting" or approval.id == incident.approval:
                over = Event("approval.void", approval.id, reason, now(), incident=incident.id)
                await transaction.put(approval.decide("void", LOOP, now(), reason))
                await transaction.emit(over)

    async def _undecided(self, incident: Incident) -> None:
        approval = await self._store.find(Approval, incident.approval) if incident.approval else None
        if approval is not None and approval.status == "waiting":
            raise Conflict(
                f"{incident.id} waits for a decision on {approval.plan.author}.",
                f"`watchkeeper approve {approval.id}` or `watchkeeper reject {approval.id}` decides.",
            )
        if approval is not None and approval.status == "approved":
            raise Conflict(f"{approval.plan.author} is agreed to in {incident.id}; it begins at once.")


_AFTER = "the fix at work begins no further step, and then it is so"
_BACK = "`watchkeeper undo {key}` takes back what it did, where it has an undo."


def _not_over(incident: Incident) -> None:
    if incident.status == "closed":
        ended = f"{incident.outcome}: {incident.reason}" if incident.reason else incident.outcome
        raise Conflict(f"{incident.id} is over ({ended}).", f"`watchkeeper show {incident.id}` tells all of it.")


def _no_fix(incident: Incident) -> None:
    if incident.open_fix:
        raise Conflict(
            f"{incident.open_fix} is at work in {incident.id}.",
            f"Try again when it has ended; `watchkeeper stop {incident.id}` lets it begin no further step.",
        )


def _noted(note: str) -> str:
    return f": {note}" if note else ""


def _event(kind: str, incident: Incident, text: str, said: Said, **more: object) -> Event:
    data: dict[str, object] = {"note": said.note, **more}
    return Event(kind, incident.id, text, said.at, said.by, incident=incident.id, resource=incident.root, data=data)
