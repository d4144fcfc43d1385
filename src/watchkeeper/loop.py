"""Read me first: the one loop. watch → decide → act → verify, for everything there is.

The stages do not know each other; they meet here. `Desk` (incidents.py) turns alerts into incidents, records every
change with its event, and calls `heal` again whenever something an incident waits for has changed, and after a crash.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Any

from watchkeeper.decide import Decide, made_by_model, outlived, worse
from watchkeeper.domain import (
    LOOP,
    Alert,
    Approval,
    Conflict,
    Decision,
    Effect,
    Fix,
    Forbidden,
    Incident,
    LeftToPeople,
    Plan,
    Principal,
    Verdict,
    now,
)
from watchkeeper.domain.situation import Situation
from watchkeeper.fixing import Fixing
from watchkeeper.handing import nothing_left
from watchkeeper.hindering import hinder, release
from watchkeeper.incidents import Desk
from watchkeeper.lapsing import foretold
from watchkeeper.merging import Merging
from watchkeeper.overruling import heeding, put_back, respecting
from watchkeeper.people import People
from watchkeeper.resting import looked_at_again
from watchkeeper.store import Store
from watchkeeper.undoing import Undoing
from watchkeeper.verify import Subject, judge
from watchkeeper.watch import Watch, meanwhile, root_of, stopped_cause
from watchkeeper.watch.stopped import BECAUSE, given_up

BLIND = timedelta(seconds=60)
"""An incident whose root gives no data for so long is handed to a person."""

STALE = timedelta(seconds=2)
"""A plan that was thought about for longer is judged by another look: a model may take a minute."""
RECOVERY = 30.0
"""Seconds for what no longer alerts to prove that it is well; a container's own health check takes so long."""
AGAIN = 30.0
"""Seconds until it is looked at again whether what was handed to a person without an alert is well by now."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a plan somebody handed in: a fix that runs, or an approval that waits."""

    decision: Decision
    fix: Fix | None = None
    approval: Approval | None = None
    output: Any = None


class Loop:
    """`heal` is the product on a page; `submit` is the one entrance for everybody else's plans."""

    def __init__(self, store: Store, watch: Watch, decide: Decide, desk: Desk, fixing: Fixing) -> None:
        self._merging = Merging(store, watch, desk)
        self._store = store
        self._watch = watch
        self._decide = decide
        self._desk = desk
        self._fixing = fixing
        self._alone: set[asyncio.Task[Fix]] = set()
        self.people = People(store, desk)
        self.undoing = Undoing(store, watch, decide)

    async def heal(self, incident: Incident) -> Incident:
        """Re-entrant: called again whenever something it waits for has changed, and after a crash."""
        if incident.open_fix:  # what was begun is finished first
            fix = await self._store.get(Fix, incident.open_fix)
            async with self._fixing.hands(fix.plan):
                fix = await self._fixing.complete(fix, incident)
            incident = await self.finish(fix, incident)
        while (incident := await self._store.get(Incident, incident.id)).status != "closed":
            at = await self._watch.look(self._scope(incident))
            if not self._desk.firing(incident, at):
                verdict = await self._recovered(incident)
                if verdict.outcome == "healed":
                    by_hand = await self._fixing.by_hand(incident)
                    ended = "healed" if incident.cured else "by_human" if by_hand else "recovered"
                    others = await meanwhile(self._store, self._watch.fleet.resources, incident)
                    return await self._desk.close(incident, ended, "; ".join((*by_hand, *others, *verdict.reasons)))
                if self._desk.firing(incident, self._watch.situation(incident.resources)):
                    continue
                self._desk.wake_later(incident.id, AGAIN)
                if not incident.active:
                    return incident
                return await self._desk.escalate(incident, f"no alert fires any more, but {verdict.reasons[0]}")
            if incident.left is None and (merged := await self._merging.into_cause(incident)):
                return merged  # it goes on with what it comes from
            incident = await release(self._desk, incident, at)
            if not incident.active:  # escalated: a person has it, unless what made it hopeless is another now
                if await looked_at_again(incident, self._store, self._watch, self._desk) is None:
                    return incident
                continue
            if stopped := await self._decide.stopped():
                return await self._desk.hold(incident, stopped)
            root = await self._root(incident, at)
            if root is None:
                continue
            approval = await self._approval(incident)
            if approval is not None and approval.status == "waiting":
                why = await self._overtaken(approval, root, incident, at)
                if why is None:
                    return incident  # a row in the store; nothing sleeps
                incident = await self._desk.withdraw(incident, approval, why)
                continue
            if approval is not None and approval.status == "expired":
                return await self._desk.escalate(incident, f"nobody decided on {approval.plan.author} in time")
            if approval is not None and approval.status == "rejected":
                incident = await self._desk.refuse(incident, approval.plan, _rejected(approval))
                continue
            agreed = approval if approval is not None and approval.status == "approved" else None
            if agreed is None and (left := await self._decide.left_to_agents(incident)):
                return await self._desk.hold(incident, left.reason, left.until)
            plan, passed = None, ()
            firing = self._desk.firing(incident, at)
            bereft = given_up(root, firing, self._watch.watchers)
            if agreed is None and bereft is None:  # runbook rungs first, then the model; knows past fixes
                plan, passed = await self._decide.next_plan(root, incident, at, ask=True)
            if plan is not None and made_by_model(plan) and plan.created_at - at.at > STALE:
                continue  # it took its time: look again, and see whether the plan still fits
            if agreed is not None:
                if agreed.digest != self._fixing.digest(agreed.plan, at):
                    incident = await self._desk.void(incident, agreed, "things have changed since it was asked for")
                    continue
                plan = agreed.plan
            if plan is None and bereft is None:
                plan = await put_back(root, incident, at, passed, self._store, self._watch, self._decide)
            if plan is None and await self._joined(incident, firing):
                continue  # it may be the cause
            if plan is None and await self._fixing.subsides(incident, firing):
                await self._watch.next_look(root, quickly=False)
                continue
            if plan is None:
                known = bereft or stopped_cause(root, firing, self._watch.watchers, BECAUSE)
                known = known or self._decide.known(root, at, incident)
                known = known or stopped_cause(root, firing, self._watch.watchers)
                told = known or self._decide.supposed(root, at, passed)
                incident = await self._desk.puzzled(incident, root, passed, told)
                tried = (await self._store.select(Fix, incident=incident.id))[::-1]
                reason = nothing_left(passed, known, tried)
                return await self._desk.escalate(incident, reason, known=known)
            if agreed is None:
                plan = await respecting(plan, incident, at, self._store, self._watch, self._decide)
                plan = await foretold(plan, self._store, self._watch, self._decide)
                incident = await self._desk.diagnosed(incident, plan)
                plan, rejected = await heeding(plan, incident, self._store)
                if rejected:
                    incident = await self._desk.refuse(incident, plan, rejected)
                    continue
            who = agreed.requested_by if agreed else LOOP
            standing = await self._fixing.standing(plan, at, incident, agreed)
            decision = self._decide.permit(plan, at, who, approved=bool(agreed), standing=standing)
            if decision.policy == "mode/observe":
                return await self._desk.would(incident, plan, decision)
            if decision.until is not None:  # maintenance, a cooldown: it goes on by itself then
                kind = f"incident.{decision.policy if decision.policy in ('cooldown', 'maintenance') else 'held'}"
                return await self._desk.hold(incident, decision.reason, decision.until, kind)
            if decision.outcome == "ask":
                return await self._ask(incident, plan, decision, at)
            if decision.outcome == "deny":
                incident = await self._desk.refuse(incident, plan, f"policy does not allow it: {decision.reason}")
                continue
            async with self._fixing.hands(plan) as waited:
                if waited:
                    continue  # another fix was at work nearby: look again first
                try:
                    asked = agreed.decision if agreed else decision  # why a person was asked, and not that they were
                    fix = await self._fixing.begin(plan, at, who, asked, incident.id, agreed)
                except LeftToPeople:
                    continue  # somebody has taken it over a moment ago
                fix = await self._fixing.complete(fix, await self._store.get(Incident, incident.id))
            incident = await self.finish(fix, incident)  # others may begin: nothing is done any more
        return incident

    async def finish(self, fix: Fix, incident: Incident) -> Incident:
        """What was executed, judged, and undone where it did not help: wait for what suffered, and say how it ended."""
        await self._fixing.aftermath(fix, incident)
        if fix.verdict is None:
            raise RuntimeError(f"{fix.id} was finished without a verdict")
        if fix.verdict.outcome == "not_tried" and (stopped := await self._fixing.stopped(fix)):
            return await self._desk.untried(incident, fix, stopped)
        incident = await self._desk.judged(incident, fix, fix.verdict)
        return await hinder(self._desk, self._store, incident, fix)

    async def submit(self, plan: Plan, principal: Principal, incident: Incident | None = None) -> Submission:
        """The one entrance: what comes by HTTP, command line, chat, MCP or a rollout is judged by the same policy.

        What a person who may approve submits themselves counts as approved, unless policy wants two people. Raises
        Forbidden.
        """
        only_looks = self._fixing.only_looks(plan)  # whatever the state: nothing is acted on that must be fresh
        at = self._watch.situation(plan.resources) if only_looks else await self._watch.look(plan.resources)
        plan, own, decision = await self._judged(plan, principal, incident, at)
        if decision.outcome == "deny":
            raise Forbidden(f"Policy {decision.policy} does not allow it: {decision.reason}", "See docs/policy.md.")
        if decision.outcome == "ask":
            approval = await self._desk.ask(self._fixing.approval(plan, decision, at, principal, incident), incident)
            return Submission(decision, approval=approval)
        if plan.effect is Effect.READ:
            return Submission(decision, output=await self._fixing.read(plan, principal))
        by = principal.id if own else ""
        if incident is not None:  # `heal` alone begins an incident's fixes; it finds this one asked for and agreed to
            asked = self._fixing.approval(plan, decision, at, principal, incident)
            approval = await self._desk.ask(asked.decide("approved", principal, now()), incident)
            self._desk.wake(incident.id)
            return Submission(decision, approval=approval)
        fix = await self._fixing.begin(plan, at, principal, decision, None, None, approved_by=by)
        self.resume_alone(fix)
        return Submission(decision, fix=fix)

    async def would(self, plan: Plan, principal: Principal) -> Decision:
        """What `submit` would decide of it, by what was seen last. Raises Conflict while all action is paused."""
        return (await self._judged(plan, principal, None, self._watch.situation(plan.resources)))[2]

    async def _judged(
        self, plan: Plan, principal: Principal, incident: Incident | None, at: Situation
    ) -> tuple[Plan, bool, Decision]:
        """The plan with its effects as they are now, whether its principal's word is enough, and what policy says."""
        effects = self._fixing.effects(plan, at)
        plan = replace(plan, steps=tuple(replace(s, effect=e) for s, e in zip(plan.steps, effects, strict=True)))
        if plan.effect is not Effect.READ and (stopped := await self._decide.stopped()):
            raise Conflict(f"Nothing is changed now: {stopped}.", "Go on with `watchkeeper resume`.")
        own = self._decide.policy.approves(principal) and not any(
            self._decide.policy.needs_two(step.effect) for step in plan.steps
        )
        standing = await self._fixing.standing(plan, at, incident)
        return plan, own, self._decide.permit(plan, at, principal, approved=own, standing=standing)

    async def approved_alone(self, approval: Approval) -> Fix:
        """Begin what waited for approval without an incident. Raises Conflict where things have changed since."""
        at = await self._watch.look(approval.plan.resources)
        if approval.digest != self._fixing.digest(approval.plan, at):
            await self._store.save(approval.decide("void", LOOP, now(), "things have changed since it was asked for"))
            raise Conflict("Things have changed since this was asked for; nothing was done.", "Submit it again.")
        fix = await self._fixing.begin(approval.plan, at, approval.requested_by, approval.decision, None, approval)
        self.resume_alone(fix)
        return fix

    def resume_alone(self, fix: Fix) -> None:
        """Carry out, in the background, a fix that belongs to no incident."""
        task = asyncio.create_task(self._finish_alone(fix), name=f"finish {fix.id}")
        self._alone.add(task)
        task.add_done_callback(self._alone.discard)

    async def take_up(self, resources: Collection[str] | None = None) -> None:
        """After a start, or when another executor's resources have become ours: what is not over is finished first."""
        await self._desk.resume(resources)
        for fix in await self._store.select(Fix, status=("running", "executed", "undoing"), incident=None):
            if resources is None or fix.plan.resources[0] in resources:
                self.resume_alone(fix)

    async def stop(self) -> None:
        """Let go of what runs in the background; it is resumed at the next start."""
        for task in self._alone:
            task.cancel()
        await asyncio.gather(*self._alone, return_exceptions=True)
        await self._fixing.stop()

    # How ---------------------------------------------------------------------------------------------------------

    async def _finish_alone(self, fix: Fix) -> Fix:
        async with self._fixing.hands(fix.plan):
            return await self._fixing.complete(fix, None)

    async def _recovered(self, incident: Incident) -> Verdict:
        """A verdict like any other: good looks in a row, and the probe."""
        present = self._watch.present(incident.resources)
        root = incident.root if incident.root in present or not present else present[0]
        # A standing alert of another incident is another matter; one that is pending may be this fault coming back.
        standing = self._watch.situation(present).firing
        others = frozenset(alert.id for alert in standing if alert.incident != incident.id)
        about = await self._fixing.rules_of(incident)
        subject = Subject(root, present or (root,), ignored=others, about=about)
        looks = self._watch.settle(present, RECOVERY)
        quiet = takewhile_async(lambda at: not self._desk.firing(incident, at), looks)
        verdict = await judge(subject, quiet, self._watch.probe)
        if incident.fixes:
            return verdict
        return await self._fixing.with_losses(verdict, present, incident, incident.reopened_at or incident.opened_at)

    def _scope(self, incident: Incident) -> tuple[str, ...]:
        return (*incident.resources, *self._watch.neighbours(incident.resources))

    async def _root(self, incident: Incident, at: Situation) -> str | None:
        """The root, once a fresh reading shows the fault and nothing upstream is about to explain it; else None,
        after the next look."""
        firing = self._desk.firing(incident, at)
        root = root_of(firing, self._watch.fleet.resources)
        carriers = {resource.runs_on for resource in self._watch.fleet.resources.values()}
        upstream = self._watch.upstream(root)
        further = [alert for alert in self._watch.situation(upstream).alerts if alert.severity == "critical"]
        brewing = any(
            alert.status == "pending"
            and alert.resource in upstream
            and (alert.covers_services or alert.resource not in carriers)
            for alert in (*at.alerts, *further)
        )
        shown = any(alert.id in at.showing for alert in firing if alert.resource == root)
        if shown and not brewing:
            return root
        if await self._desk.blind_for(incident, root, at) > BLIND:
            await self._desk.escalate(incident, f"{root} gives no data: {at.readings[root].error}", anyway=True)
            return None
        await self._watch.next_look(root, quickly=brewing)
        return None

    async def _joined(self, incident: Incident, firing: Sequence[Alert]) -> bool:
        """Whether an alert has joined it since it was looked at."""
        known = await self._store.get(Incident, incident.id)
        fires = self._desk.firing(known, self._watch.situation(known.resources))
        return not {alert.id for alert in fires} <= {alert.id for alert in firing}

    async def _approval(self, incident: Incident) -> Approval | None:
        current = await self._store.get(Incident, incident.id)
        if current.approval is None:
            return None
        approval = await self._store.get(Approval, current.approval)
        if approval.status == "waiting" and approval.expires_at <= now():
            approval = await self._desk.expire(approval)
        return approval

    async def _overtaken(self, approval: Approval, root: str, incident: Incident, at: Situation) -> str | None:
        """Why what the loop has asked for is not what goes first any more, or None. What somebody else has asked for
        waits for its answer, and so does what a model has planned."""
        if approval.requested_by != LOOP or made_by_model(approval.plan):
            return None
        if root not in approval.plan.resources:
            return f"the cause turned out to be {at.resources[root].slug}"
        plan, _ = await self._decide.next_plan(root, incident, at)
        later = ", ".join(step.tool for step in approval.plan.steps)
        if outlived(approval.plan, plan, at):
            return f"{', '.join(approval.plan.aims)}, which {later} is for, is over"
        if plan is None or not worse(plan, approval.plan, at):
            return None
        name = ", ".join(plan.aims)
        return f"{name} on {at.resources[root].slug} is worse and goes first; {later} is asked for again after it"

    async def _ask(self, incident: Incident, plan: Plan, decision: Decision, at: Situation) -> Incident:
        with suppress(Conflict):  # somebody has taken it over, or closed it, a moment ago
            await self._desk.ask(self._fixing.approval(plan, decision, at, LOOP, incident), incident)
        return await self._store.get(Incident, incident.id)


async def takewhile_async(
    holds: Callable[[Situation], bool], looks: AsyncGenerator[Situation]
) -> AsyncGenerator[Situation]:
    """The looks up to the first of which it does not hold."""
    async with aclosing(looks):
        async for at in looks:
            if not holds(at):
                return
            yield at


def _rejected(approval: Approval) -> str:
    """Who said no, and when."""
    at = f" at {approval.decided_at.astimezone(UTC):%H:%M} UTC" if approval.decided_at else ""
    return f"{approval.decided_by} rejected it{at}" + (f": {approval.note}" if approval.note else "")
