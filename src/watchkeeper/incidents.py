"""The incidents' desk: alerts become incidents, and every change is recorded with the event that tells it."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from watchkeeper.closing import closed_by_hand
from watchkeeper.domain import (
    LOOP,
    Alert,
    Approval,
    Conflict,
    Decision,
    Diagnosis,
    Event,
    Fix,
    Incident,
    IncidentOutcome,
    Plan,
    Resource,
    Verdict,
    now,
)
from watchkeeper.domain.situation import Situation
from watchkeeper.handing import alike, called, handing, taking_up, told_of, what_to_do
from watchkeeper.score import Scorekeeper
from watchkeeper.store import LeaseLost, Store, StoreAway, new_id
from watchkeeper.waking import Waking
from watchkeeper.watch import Watch, incident_for, lately, relapse_of, told_lately
from watchkeeper.watch.clues import grounded, unexplained
from watchkeeper.watch.correlation import standing, suffering
from watchkeeper.watch.joining import alerts_of, keep, unclaimed

log = structlog.get_logger(__name__)
ACTIVE = ("open", "diagnosing", "awaiting_approval", "fixing", "verifying", "escalated")
BEFORE = timedelta(minutes=2)
"""How much of the readings from before an incident is kept at full rate."""


class Desk:
    """Who wants `heal` called registers it in `heal`; `wake` calls it, one at a time per incident."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.heal: Callable[[Incident], Awaitable[Incident]] | None = None
        self.watch: Watch | None = None
        self.score: Scorekeeper | None = None
        self.held: Callable[[str], bool] = lambda _: True
        """Whose incidents are handled here: other executors handle the rest."""
        self.holds: Callable[[str], Awaitable[bool]] | None = None
        """The same, asked in the store."""
        self._waking = Waking(self._heal)
        self._deadlines: set[asyncio.Task[None]] = set()
        self.joining = asyncio.Lock()
        """Held while it is decided what belongs to which incident."""
        self.writing = asyncio.Lock()
        """Held while an incident is read, changed and written."""

    # Alerts in ---------------------------------------------------------------------------------------------------

    async def alerted(self, alert: Alert) -> Alert:
        """An alert began to fire or resolved: it joins an incident, reopens one, or opens one."""
        if self.holds is not None and not await self.holds(alert.resource):
            return alert  # another executor has taken it meanwhile, and sees it too
        async with self.joining:
            if alert.status == "resolved":
                await self._store.save(alert, _told("alert.resolved", alert, f"{alert.rule} resolved"))
            else:
                alert = await self._join(alert)
        if alert.incident:
            self.wake(alert.incident)
            await self._wake_victims(alert)
        return alert

    async def _wake_victims(self, alert: Alert) -> None:
        """What alerts now may be what other incidents come from."""
        suffers = suffering(alert.resource, self._seen_by().fleet.resources)
        for incident in await self._store.select(Incident, status=ACTIVE):
            if incident.id != alert.incident and suffers.intersection(incident.resources):
                self.wake(incident.id)

    async def _join(self, alert: Alert) -> Alert:
        at = now()
        watch = self._seen_by()
        resources = watch.fleet.resources
        name = resources[alert.resource].slug if alert.resource in resources else alert.resource
        told = _told("alert.firing", alert, f"{alert.rule} fires on {name}")
        active = await self._store.select(Incident, status=ACTIVE)
        known = incident_for(alert, active, resources, at, *await self._standing(active))
        if known is None:
            closed = await self._store.select(Incident, status="closed", limit=50)
            known = relapse_of(alert, closed, await self._store.select(Alert, resource=alert.resource, limit=100), at)
        if known is None and alert.severity != "critical" and not watch.rulebook.has_runbook(alert.rule):
            await self._store.save(alert, told)
            return alert  # worth showing, but nothing anybody must be called for
        changed = await lately(self._store, resources, (alert.resource,), at) if known is None else []
        async with self.writing, self._store.transaction() as transaction:
            if known is None:
                incident = Incident(new_id("inc"), f"{alert.rule} on {name}", alert.resource, (alert.resource,), at)
                text = f"{alert.rule} on {name}: {alert.why} {told_lately(changed, at)}".rstrip()
                events = [self._event("incident.opened", incident, text), replace(told, incident=incident.id)]
            else:
                incident = await self._store.get(Incident, known.id)  # as it is now: its own task may have closed it
                mine = await self._store.select(Alert, incident=incident.id, limit=500)
                incident, events = taking_up(incident, alert, told, mine, name)
            before = [a.join(incident.id) for a in unclaimed(alert, watch.watchers, resources, at)]
            incident = incident.touching(alert.resource, *(a.resource for a in before))
            alert = alert.join(incident.id)
            for victim in before:
                await transaction.put(victim)
            await transaction.put(incident)
            await transaction.put(alert)
            for event in events:
                await transaction.emit(event)
        keep(before, watch.watchers)
        watch.busy.update(incident.resources)
        for key in incident.resources:
            await watch.keep_ring(key, at - BEFORE)
        return alert

    async def _standing(self, active: Sequence[Incident]) -> tuple[dict[str, str], frozenset[str]]:
        resources = self._seen_by().fleet.resources
        return standing({i.id: await alerts_of(self._store, i.id) for i in active}, resources)

    async def vanished(self, resource: Resource) -> None:
        """Removed on purpose, or called otherwise now: its incidents are over."""
        for incident in await self._store.select(Incident, status=ACTIVE, root=resource.id):
            await self.close(incident, "gone", f"{resource.slug} was removed, or is called otherwise now")

    def firing(self, incident: Incident, at: Situation) -> tuple[Alert, ...]:
        """The incident's alerts that fire."""
        return tuple(alert for alert in at.firing if alert.incident == incident.id)

    async def blind_for(self, incident: Incident, root: str, at: Situation) -> timedelta:
        """For how long the root has given no data that tells anything."""
        watcher = self._seen_by().watchers.get(root)
        return timedelta(0) if watcher is None or at.showing else watcher.blind_for

    # Waking ------------------------------------------------------------------------------------------------------

    def wake(self, incident: str) -> None:
        """Have `heal` called (again): something the incident may wait for has changed."""
        self._waking.wake(incident)

    def wake_later(self, incident: str, seconds: float) -> None:
        """For what no event tells."""
        self._waking.later(incident, seconds)

    async def wake_all(self) -> None:
        """Something that held them all, or some, holds no more."""
        for incident in await self._store.select(Incident, status=ACTIVE):
            self.wake(incident.id)

    async def resume(self, resources: Container[str] | None = None) -> None:
        """Everything (of these resources) that is not over is taken up where the store says it is."""
        for incident in await self._store.select(Incident, status=ACTIVE):
            if resources is not None and incident.root not in resources:
                continue
            self._seen_by().busy.update(incident.resources)
            self.wake(incident.id)
        for approval in await self._store.select(Approval, status="waiting"):
            self._arm(approval)

    async def stop(self) -> None:
        await self._waking.stop()
        for task in self._deadlines:
            task.cancel()
        await asyncio.gather(*self._deadlines, return_exceptions=True)

    async def _heal(self, key: str) -> None:
        incident = await self._store.patiently().get(Incident, key)
        if incident.status == "closed" or self.heal is None or not self.held(incident.root):
            return
        try:
            await self.heal(incident)
        except (StoreAway, LeaseLost):
            raise
        except Exception as problem:
            left = await self.escalate(incident, f"an error of ours: {type(problem).__name__}: {problem}")
            if left.open_fix:  # not a person's yet: what was begun is finished first
                raise
            log.exception("healing failed", incident=key)

    def _arm(self, approval: Approval) -> None:
        """At the deadline wake its incident, or let it expire where it has none; armed anew after a restart."""
        seconds = max(0.0, (approval.expires_at - now()).total_seconds())
        if approval.incident:
            asyncio.get_running_loop().call_later(seconds, self.wake, approval.incident)
            return

        async def expires() -> None:
            await asyncio.sleep(seconds)  # a deadline is the clock's
            await self.expire(approval)

        task = asyncio.create_task(expires(), name=f"expiry {approval.id}")
        self._deadlines.add(task)
        task.add_done_callback(self._deadlines.discard)

    # Changes, each with its event --------------------------------------------------------------------------------

    async def change(
        self, key: str, to: Callable[[Incident], Incident], kind: str, text: str, by: str = LOOP.id
    ) -> Incident:
        """Read, change, write and tell, as one. What is closed stays so: only an alert reopens it."""
        async with self.writing, self._store.transaction() as transaction:
            current = await self._store.get(Incident, key)
            if current.status == "closed":
                return current
            incident = to(current)
            if current.closing is not None and incident.open_fix is None and incident.status != "closed":
                incident = await closed_by_hand(self._store, incident, current.closing)
                kind, text, by = "incident.closed", f"by_human: {incident.reason}", current.closing.by
            await transaction.put(incident)
            await transaction.emit(self._event(kind, incident, text, by))
        if incident.status == "closed":
            self._seen_by().busy.difference_update(incident.resources)
        return incident

    async def close(self, incident: Incident, outcome: IncidentOutcome, reason: str, by: str = LOOP.id) -> Incident:
        await self._void_waiting(incident, f"the incident is over ({outcome})")
        return await self.change(
            incident.id, lambda i: i.close(outcome, now(), reason), "incident.closed", f"{outcome}: {reason}", by
        )

    async def escalate(
        self, incident: Incident, reason: str, *, anyway: bool = False, known: Diagnosis | None = None
    ) -> Incident:
        """Hand it to a person, unless one has agreed to something meanwhile. `known`: of its cause."""
        await self._void_waiting(incident, "the incident was handed to a person")
        async with self.writing, self._store.transaction() as transaction:
            current = await self._store.get(Incident, incident.id)
            if current.status == "closed":
                return current
            if current.open_fix or (await self._agreed(current) and not anyway):
                self.wake(incident.id)
                return current
            firing = await self._store.select(Alert, incident=current.id, status="firing")
            to_do = what_to_do(current, firing, self._seen_by().rulebook.recommended, known)
            escalated, event = handing(current, reason, firing=firing, to_do=to_do)
            await transaction.put(escalated)
            await transaction.emit(event)
            return escalated

    async def hold(
        self, incident: Incident, reason: str, until: datetime | None = None, kind: str = "incident.held"
    ) -> Incident:
        """Nothing is done while it is paused, or until a time, at which it is woken; said once."""
        if until is not None:
            self._waking.at(incident.id, until)
        current = await self._store.get(Incident, incident.id)
        if current.reason == reason:
            return current
        return await self.change(incident.id, lambda i: i.because(reason, until), kind, reason)

    async def would(self, incident: Incident, plan: Plan, decision: Decision) -> Incident:
        """Observe mode: what it would have done is written down once per plan."""
        steps = ", ".join(called(step) for step in plan.steps)
        reason = f"it would run {steps} ({plan.author}); {decision.reason}"
        current = await self._store.get(Incident, incident.id)
        if current.reason == reason:
            return current
        if self.score is not None:
            await self.score.would(incident, plan)
        return await self.change(incident.id, lambda i: i.because(reason), "fix.would", reason)

    async def diagnosed(self, incident: Incident, plan: Plan) -> Incident:
        diagnosis, known = plan.diagnosis, incident.diagnosis
        if diagnosis is None:
            return incident
        text = f"{diagnosis.cause} Plan: {', '.join(step.tool for step in plan.steps)} ({plan.author})"
        found = await self._grounded(incident, diagnosis)
        if incident.status == "diagnosing" and known and alike(known, found):
            return incident  # it was told, and nothing was done since
        return await self.change(incident.id, lambda i: i.diagnosed(found), "incident.diagnosed", text)

    async def puzzled(self, incident: Incident, root: str, passed: Sequence[str], known: Diagnosis | None) -> Incident:
        """Nothing knows what to do, or can do it: what there is to go on is written down for whoever takes it. What a
        runbook supposes of the cause, none of whose rungs can help, does not replace what was told before."""
        told, supposed = incident.diagnosis, known is None or known.author.startswith("runbook:")
        if told and (supposed or (known and (told.author, told.root) == (known.author, known.root))):
            return incident
        alerts = await self._store.select(Alert, incident=incident.id, status="firing")
        found = await self._grounded(incident, known or unexplained(root, alerts, passed))
        return await self.change(incident.id, lambda i: i.diagnosed(found), "incident.diagnosed", found.cause)

    async def _grounded(self, incident: Incident, diagnosis: Diagnosis) -> Diagnosis:
        alerts = incident.present(await self._store.select(Alert, incident=incident.id))
        fixes = await self._store.select(Fix, limit=50)
        return await grounded(diagnosis, alerts, self._seen_by(), now(), self._store.masker.text, fixes)

    async def refuse(self, incident: Incident, plan: Plan, reason: str) -> Incident:
        if self.score is not None:
            await self.score.refused(incident, plan)
        return await self.change(incident.id, lambda i: i.refuse(plan, reason), "plan.refused", reason)

    async def verifying(self, incident: Incident, fix: Fix) -> Incident:
        return await self.change(incident.id, lambda i: i.verifying(), "incident.verifying", f"{fix.id} is judged")

    async def judged(self, incident: Incident, fix: Fix, verdict: Verdict) -> Incident:
        firing = await self._store.select(Alert, incident=incident.id, status="firing")
        more = [alert for alert in firing if alert.severity != "info"]
        if (verdict.outcome == "healed" or verdict.recovered) and more:
            how = "failed, and it is well again" if verdict.recovered else "healed"
            reason = f"{fix.plan.author} {how}, but {more[0].rule} {more[0].beside(fix.started_at)}"
            return await self.change(incident.id, lambda i: i.going_on(fix, reason), "incident.goes_on", reason)
        text = f"{verdict.said}: {'; '.join((*verdict.reasons, *fix.standing))}"
        to_do = what_to_do(incident, firing, self._seen_by().rulebook.recommended)
        return await self.change(incident.id, lambda i: i.judged(fix, verdict, now(), to_do), told_of(verdict), text)

    async def untried(self, incident: Incident, fix: Fix, reason: str) -> Incident:
        """The fix was stopped before it did anything: it may be tried again."""
        await self.change(incident.id, lambda i: i.not_tried(fix), "incident.held", reason)
        return await self.hold(incident, reason)

    async def begun(self, fix: Fix) -> None:
        """The fix's first row, and its incident's change, in one transaction: from here on it is finished first."""
        text = f"{fix.plan.author} begins: {', '.join(step.said for step in fix.plan.steps)}"
        event = Event("fix.started", fix.id, text, now(), by=fix.principal.id, incident=fix.incident)
        async with self.writing, self._store.transaction() as transaction:
            if fix.incident:
                incident = await self._store.get(Incident, fix.incident)
                await transaction.put(incident.fixing(fix))
            await transaction.put(fix)
            await transaction.emit(event)

    # Approvals ---------------------------------------------------------------------------------------------------

    async def ask(self, approval: Approval, incident: Incident | None) -> Approval:
        """A row that waits for a person, or tells who has agreed already. Raises Conflict while a fix is under way."""
        async with self.writing, self._store.transaction() as transaction:
            if incident is not None:
                current = await self._store.get(Incident, incident.id)
                if await self._agreed(current):
                    self.wake(incident.id)
                    if approval.status == "waiting":
                        return approval  # a person was quicker
                    raise Conflict(f"Somebody has asked for a fix of {incident.id} already.", "It begins at once.")
                if current.status == "closed":
                    raise Conflict(f"{incident.id} is over.", f"`watchkeeper show {incident.id}` says how it ended.")
                if current.open_fix:
                    raise Conflict(f"{incident.id} is being fixed already ({current.open_fix}).")
                await transaction.put(current.wait_for_approval(approval.id, approval.requested_by))
            await transaction.put(approval)
            await transaction.emit(approval.asked(now()))
        if approval.status == "waiting":
            self._arm(approval)
        return approval

    async def _agreed(self, incident: Incident) -> bool:
        """Whether a person has agreed to something that is not begun yet."""
        approval = await self._store.find(Approval, incident.approval) if incident.approval else None
        return approval is not None and approval.status == "approved"

    async def expire(self, approval: Approval) -> Approval:
        return await self._let_go(approval.decide("expired", LOOP, now()), "nobody decided in time")

    async def void(self, incident: Incident, approval: Approval, reason: str) -> Incident:
        told = Event("approval.void", approval.id, reason, now(), incident=approval.incident)
        await self._store.save(approval.decide("void", LOOP, now(), reason), told)
        return await self.change(incident.id, lambda i: i.unasked(), "incident.goes_on", reason)

    async def withdraw(self, incident: Incident, approval: Approval, reason: str) -> Incident:
        """It is asked for no more, unless a person has decided meanwhile."""
        left = await self._let_go(approval.decide("void", LOOP, now(), reason), reason)
        if left.status != "void":
            return await self._store.get(Incident, incident.id)
        return await self.change(incident.id, lambda i: i.unasked(), "incident.goes_on", reason)

    async def _void_waiting(self, incident: Incident, reason: str) -> None:
        for approval in await self._store.select(Approval, status="waiting", incident=incident.id):
            await self._let_go(approval.decide("void", LOOP, now(), reason), reason)

    async def _let_go(self, approval: Approval, text: str) -> Approval:
        """It waits no more, unless somebody has decided meanwhile: then that stands."""
        event = Event(f"approval.{approval.status}", approval.id, text, now(), incident=approval.incident)
        async with self._store.transaction() as transaction:
            present = await self._store.get(Approval, approval.id)
            if present.status != "waiting":
                return present
            await transaction.put(approval)
            await transaction.emit(event)
        return approval

    # Telling -----------------------------------------------------------------------------------------------------

    def _event(self, kind: str, incident: Incident, text: str, by: str = LOOP.id) -> Event:
        return Event(kind, incident.id, text, now(), by=by, incident=incident.id, resource=incident.root)

    def _seen_by(self) -> Watch:
        if self.watch is None:
            raise RuntimeError("the desk has no watch yet")
        return self.watch


def _told(kind: str, alert: Alert, text: str) -> Event:
    return Event(kind, alert.id, text, now(), incident=alert.incident, resource=alert.resource)
