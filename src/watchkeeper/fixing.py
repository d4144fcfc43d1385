"""One fix from its beginning to its verdict: what the loop and whoever submits a plan share."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from watchkeeper.act import Act
from watchkeeper.decide import Decide
from watchkeeper.decide.history import TAKEN_BACK
from watchkeeper.domain import (
    Alert,
    Approval,
    Condition,
    Conflict,
    Decision,
    Effect,
    Event,
    Fix,
    Incident,
    Plan,
    Principal,
    Resource,
    Standing,
    Verdict,
    now,
)
from watchkeeper.domain.situation import Situation, effect_of
from watchkeeper.domain.verdict import NO_FAULT
from watchkeeper.hindering import credited, hindered, hindering
from watchkeeper.incidents import Desk
from watchkeeper.store import Later, Store, fixes_beside, new_id
from watchkeeper.verify import Subject, judge
from watchkeeper.watch import Watch
from watchkeeper.watch.correlation import carried_by, place, suffering
from watchkeeper.watch.losses import keepers, losses
from watchkeeper.watch.serving import served_by

AFTERMATH = 60.0
"""Seconds for what suffered from a healed root to be well again: twice the 30 s between a container's health checks."""


class Fixing:
    """Begins and completes fixes, one at a time per dependency neighbourhood; binds approvals to what they are for."""

    def __init__(
        self, store: Store, watch: Watch, decide: Decide, act: Act, desk: Desk, approval_life: timedelta
    ) -> None:
        self._store = store
        self._watch = watch
        self._decide = decide
        self._act = act
        self._desk = desk
        self._approval_life = approval_life
        self._looked_up = Later(store)

    async def complete(self, fix: Fix, incident: Incident | None) -> Fix:
        """Execute or resume, judge, and undo what did not help."""
        if fix.status == "closed":
            return fix
        await self._remember(fix)
        fix = await self._act.complete(fix)  # the durable workflow: executes, or resumes; seconds to minutes
        if incident is not None:
            incident = await self._desk.verifying(incident, fix)  # as it is now: alerts may have joined meanwhile
        if fix.verdict is None:
            stop = await self._decide.halted(fix.id)
            verdict = None if stop else _not_tried(fix) or await self._judged(fix, incident)
            stop = stop or await self._decide.halted(fix.id)
            if verdict is None or (stop and (stop.undo or verdict.outcome != "healed")):  # else it came too late
                fix = replace(fix, stopped=stop)
                verdict = _cut_short(fix)
            fix = replace(fix, verdict=await self._told(fix, verdict))
            await self._store.save(fix)
        if fix.stopped.undo if fix.stopped else self._fails(fix):
            fix = await self._act.undo(fix)
        fix = replace(fix, status="closed", finished_at=now())
        await self._store.save(fix, *await self._decide.history.ended(fix))
        return fix

    async def _told(self, fix: Fix, verdict: Verdict) -> Verdict:
        """The verdict, and before its reasons what it must not be taken for."""
        if (verdict := credited(verdict, fix)).outcome in ("not_healed", "inconclusive") and not fix.stopped:
            verdict = replace(verdict, reasons=(*filter(None, (fix.broke_off,)), *verdict.reasons))
            return hindered(verdict, await hindering(self._store, fix))
        if verdict.outcome != "healed" or fix.incident is not None:
            return verdict
        known = [await self._store.select(Alert, resource=key, limit=50) for key in fix.plan.resources]
        ill = any(
            (a.firing_at or a.pending_at) <= fix.started_at
            and (a.resolved_at is None or a.resolved_at > fix.started_at)
            for alerts in known
            for a in alerts
        )
        blind = any(not reading.ok for reading in fix.before.values())
        return verdict if ill or blind else replace(verdict, reasons=(NO_FAULT, *verdict.reasons))

    async def _judged(self, fix: Fix, incident: Incident | None) -> Verdict:
        """By the looks that follow it; they end where somebody stops it."""
        resources = tuple(dict.fromkeys((*fix.plan.resources, *(incident.resources if incident else ()))))
        root = fix.plan.resources[0]
        suffers = suffering(root, self._watch.fleet.resources)
        mine = tuple(key for key in resources if key not in suffers or key in fix.plan.resources)
        subject = Subject(
            root=root,
            resources=mine,
            healed=Condition(fix.plan.healed) if fix.plan.healed else None,
            before=fix.before.get(root),
            suffers=suffers,
            since=fix.started_at,
            neighbours={near: health for near, health in fix.neighbours.items() if near not in resources},
            ignored=self._another_matter(fix, incident, resources),
            aside=not_aimed_at(fix, self._watch.situation(mine).alerts, self._watch.fleet.resources),
            about=await self.rules_of(incident),
            served=served_by(root, mine, self._watch),
        )
        seconds = max(self._decide.tool(step.tool).settle for step in fix.plan.steps)
        async with aclosing(self._watch.settle((*mine, *subject.neighbours), seconds)) as looks:
            verdict = await judge(subject, self._until_halted(fix, looks), self._watch.probe)
        return await self.with_losses(verdict, resources, incident, fix.started_at)

    async def with_losses(
        self, verdict: Verdict, resources: Sequence[str], incident: Incident | None, since: datetime
    ) -> Verdict:
        """The verdict, and before its reasons what these, or what runs on them, have lost since then, or since what
        the incident is about began: well again is not as it was."""
        on_them = (one for key in resources for one in carried_by(key, self._watch.fleet.resources))
        keep = keepers(dict.fromkeys((*resources, *on_them)), self._watch.watchers)
        if verdict.outcome != "healed" or not keep:
            return verdict
        alerts = await self._store.select(Alert, incident=incident.id) if incident else []
        since = min((since, *(alert.pending_at for alert in incident.present(alerts)))) if incident else since
        await self._watch.look(keep)
        return replace(verdict, reasons=(*losses(keep, self._watch.watchers, since), *verdict.reasons))

    async def _until_halted(self, fix: Fix, looks: AsyncIterator[Situation]) -> AsyncGenerator[Situation]:
        async for at in looks:
            if await self._decide.halted(fix.id):
                return
            yield at

    async def _remember(self, fix: Fix) -> None:
        """Of a fix that takes another back: should the other's incident come back, its plan is not begun again."""
        if not fix.plan.undoes:
            return
        undone = await self._store.get(Fix, fix.plan.undoes)
        if undone.incident is None:
            return
        async with self._desk.writing, self._store.transaction() as transaction:
            incident = await self._store.get(Incident, undone.incident)
            reason = f"{fix.principal.name} took it back ({fix.id})"
            if incident.refusals.get(undone.plan.key) == reason:
                return
            await transaction.put(incident.took_back(undone.plan, reason))
            if fix.principal.kind == "person":
                await transaction.emit(_taken_back(fix, undone))

    async def by_hand(self, incident: Incident) -> tuple[str, ...]:
        """What a person did to the incident's resources while it was open, after which it was proven to be well."""
        return tuple(
            f"{fix.principal.name} called {', '.join(step.said for step in fix.plan.steps)} ({fix.id})"
            for fix in await fixes_beside(self._store, incident)
            if fix.principal.kind == "person" and _helped(fix)
        )

    async def rules_of(self, incident: Incident | None) -> frozenset[str]:
        """The rules by which its alerts fired."""
        known = await self._store.select(Alert, incident=incident.id) if incident else []
        return frozenset(alert.rule for alert in known)

    def _another_matter(self, fix: Fix, incident: Incident | None, resources: tuple[str, ...]) -> frozenset[str]:
        """Alerts that fired before the fix and are none of its incident's. Of what somebody asked for by hand nobody
        knows what it was meant for: there everything that still fires counts."""
        if incident is None:
            return frozenset()
        firing = self._watch.situation(resources).firing
        before = [alert for alert in firing if (alert.firing_at or now()) < fix.started_at]
        return frozenset(alert.id for alert in before if alert.incident != incident.id)

    def _fails(self, fix: Fix) -> bool:
        """Whether what was done is taken back: it did not help, or is half of what was planned, of which nobody knows
        what it does by itself."""
        if fix.verdict is None or fix.verdict.outcome in ("healed", "not_tried") or self._stays(fix):
            return False
        return fix.verdict.outcome == "not_healed" or fix.half_done

    def _stays(self, fix: Fix) -> bool:
        """Whether what somebody asked for by hand stays although it did not help: nothing got worse by it, or a person
        took back what was done, and must be able to insist."""
        if fix.incident is not None:
            return False
        if fix.plan.undoes and fix.principal.kind == "person":
            return True
        at = self._watch.situation(fix.plan.resources)
        worse = [a for a in at.alerts if a.severity != "info" and a.pending_at >= fix.started_at]
        return not worse and all(reading.ok for reading in at.readings.values())

    async def aftermath(self, fix: Fix, incident: Incident) -> None:
        """The root is proven to be well: wait until what suffered from it, and what runs on it, has noticed, or for so
        long that it has something of its own; not where something else is wrong besides, which is next."""
        if fix.verdict is None or fix.verdict.outcome != "healed":
            return
        root = fix.plan.resources[0]
        suffers = suffering(root, self._watch.fleet.resources)
        resources = (await self._store.get(Incident, incident.id)).resources
        carried = self._watch.present(carried_by(root, self._watch.fleet.resources))
        async with aclosing(self._watch.settle(tuple(dict.fromkeys((*resources, *carried))), AFTERMATH)) as looks:
            async for at in looks:
                firing = [alert for alert in self._desk.firing(incident, at) if alert.severity != "info"]
                if any(alert.resource not in suffers for alert in firing):
                    return
                if not firing and await self._well(carried, at, fix.started_at):
                    return

    async def _well(self, carried: Sequence[str], at: Situation, since: datetime) -> bool:
        """Whether what runs on what was fixed shows nothing new, and its probes do not fail."""
        new = [alert for alert in at.alerts if alert.resource in carried and alert.pending_at > since]
        if any(alert.severity != "info" for alert in new):
            return False
        return all([(await self._watch.probe(key)).ok is not False for key in carried])

    async def subsides(self, incident: Incident, firing: Sequence[Alert]) -> bool:
        """Whether all that fires is what suffers from a root that was healed a moment ago: it may notice late."""
        if incident.cured is None:
            return False
        fix = await self._store.get(Fix, incident.cured)
        suffers = suffering(fix.plan.resources[0], self._watch.fleet.resources)
        lately = fix.finished_at is not None and (now() - fix.finished_at).total_seconds() < AFTERMATH
        return lately and all(alert.resource in suffers for alert in firing)

    async def begin(
        self,
        plan: Plan,
        at: Situation,
        principal: Principal,
        decision: Decision,
        incident: str | None,
        approval: Approval | None,
        *,
        approved_by: str = "",
    ) -> Fix:
        near = self._watch.neighbours(plan.resources)
        fix = await self._act.begin(
            plan,
            at,
            principal=principal,
            decision=decision,
            incident=incident,
            key=approval.fix if approval else None,
            approved_by=approval.decided_by if approval else approved_by,
            health={key: self._watch.health(key).value for key in near},
        )
        await self._desk.begun(fix)
        return fix

    def approval(
        self, plan: Plan, decision: Decision, at: Situation, by: Principal, incident: Incident | None
    ) -> Approval:
        return Approval(
            id=new_id("apr"),
            incident=incident.id if incident else None,
            fix=new_id("fix"),
            plan=plan,
            decision=decision,
            digest=self.digest(plan, at),
            requested_by=by,
            created_at=now(),
            expires_at=now() + self._approval_life,
        )

    def effects(self, plan: Plan, at: Situation) -> Sequence[Effect]:
        return list(effect_of(plan, self._decide.tools, at).values())

    def only_looks(self, plan: Plan) -> bool:
        """Whether it changes nothing, in whatever state things are."""
        tools = [self._decide.tool(step.tool) for step in plan.steps]
        return all(tool.effect is Effect.READ and tool.effect_now is None for tool in tools)

    def digest(self, plan: Plan, at: Situation) -> str:
        """Of the plan as it would act now: the effects of this moment, and what each precondition finds."""
        steps = tuple(replace(s, effect=e) for s, e in zip(plan.steps, self.effects(plan, at), strict=True))
        facts: dict[str, str] = {}
        for index, step in enumerate(steps):
            reading = at.readings.get(step.resource)
            tool = self._decide.tool(step.tool)
            refusal = tool.refusal(reading, tool.parse(step.arguments)) if reading else "no reading"
            facts[str(index)] = "refused" if refusal else "holds"
        incarnations = {key: resource.incarnation for key, resource in at.resources.items()}
        return replace(plan, steps=steps).digest(incarnations, facts)

    async def standing(
        self, plan: Plan, at: Situation, incident: Incident | None, agreed: Approval | None = None
    ) -> Standing:
        """What holds beside the table: changes lately, maintenance, cooldown, breakers. No look-up is held back by any
        of them, unless policies of the user's own say so."""
        if self._store.shared:
            await self._decide.amendments.load()
        if plan.effect is Effect.READ and self._decide.policy.settings.cedar is None:
            return Standing()
        near = self._watch.neighbours(plan.resources)
        key = incident.id if incident else None
        return await self._decide.standing(
            plan, at, near, incident=key, agreed_at=agreed.decided_at if agreed else None
        )

    async def stopped(self, fix: Fix) -> str | None:
        """Why nothing may be done now about what the fix is for, where that passes: a pause, maintenance."""
        if stopped := await self._decide.stopped():
            return stopped
        at = self._watch.situation(fix.plan.resources)
        standing = await self._decide.standing(fix.plan, at, (), incident=fix.incident, fix=fix)
        return next((hold.reason for hold in standing.maintenance.values()), None)

    async def read(self, plan: Plan, principal: Principal) -> Any:
        """Look-ups change nothing: no fix, and one event, which nobody waits for."""
        outputs: list[Any] = []
        for step in plan.steps:
            tool = self._decide.tool(step.tool)
            try:
                work = partial(tool.run, **step.arguments)
                outputs.append(await self._watch.call(step.resource, tool.name, work, tool.timeout))
            except TimeoutError as late:
                raise Conflict(f"{str(late) or f'{tool.name} gave no result within {tool.timeout:g} s'}.") from None
            text = f"{principal.id} called {tool.name}"
            self._looked_up.emit(Event("tool.called", tool.name, text, now(), principal.id, resource=step.resource))
        return outputs[0] if len(outputs) == 1 else outputs

    async def stop(self) -> None:
        """What was looked up is in the history before it ends."""
        await self._looked_up.stop()

    def hands(self, plan: Plan) -> AbstractAsyncContextManager[bool]:
        """Room for a fix among those at work. Says whether it had to be waited for."""
        return self._decide.hands.taken(plan.resources, self._watch.neighbours(plan.resources))


def not_aimed_at(fix: Fix, alerts: Iterable[Alert], resources: Mapping[str, Resource]) -> frozenset[str]:
    """Ids of those that began before the fix and have another cause than its plan is for: on its root by their rule,
    and what is neither there nor on the same machine or container."""
    if fix.incident is None or not fix.plan.aims:
        return frozenset()
    root = fix.plan.resources[0]
    here = place(root, resources) if root in resources else {root}
    return frozenset(
        alert.id
        for alert in alerts
        if alert.pending_at < fix.started_at
        and (alert.rule not in fix.plan.aims if alert.resource == root else alert.resource not in here)
    )


def _taken_back(fix: Fix, undone: Fix) -> Event:
    """What tells, and keeps the loop from doing the same again unasked."""
    steps = ", ".join(step.tool for step in undone.plan.steps)
    return Event(
        TAKEN_BACK,
        undone.id,
        f"{fix.principal.name} took back {steps} ({undone.id}, by {fix.id})",
        now(),
        fix.principal.id,
        incident=undone.incident,
        resource=undone.plan.resources[0],
        data={"aims": list(undone.plan.aims), "by": fix.id},
    )


def _helped(fix: Fix) -> bool:
    """Whether it may be what has healed: it is proven, or was carried out and is judged at this very moment."""
    if fix.verdict is not None:
        return fix.verdict.outcome == "healed"
    return any(record.status == "done" for record in fix.steps)


def _not_tried(fix: Fix) -> Verdict | None:
    """Of a fix that was refused before it did anything: whatever became of the fault, that was not its doing."""
    if not fix.untouched:
        return None
    why = f"nothing was done: {fix.broke_off}".removesuffix(": ")
    return Verdict("not_tried", (why,), fix.before.get(fix.plan.resources[0]))


def _cut_short(fix: Fix) -> Verdict:
    """Of a fix that somebody stopped: nobody waited for what it would have come to."""
    told = fix.stopped.told if fix.stopped else "stopped"
    done = sum(record.status in ("done", "unknown") for record in fix.steps)
    ended = "what was done is taken back where it has an undo" if fix.stopped and fix.stopped.undo else "it stays"
    reasons = (told, f"{done} of {len(fix.plan.steps)} steps were done; {ended}" if done else "nothing was done")
    return Verdict("inconclusive", reasons, fix.before.get(fix.plan.resources[0]))
