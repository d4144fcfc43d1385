"""The score: what it would have done where it may not act, and what then happened instead."""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import structlog

from watchkeeper.decide import Decide
from watchkeeper.domain import LOOP, Alert, Approval, Event, Fix, Incident, Plan, now
from watchkeeper.domain.evaluation import counts
from watchkeeper.domain.proposal import Ending, Held, Proposal, same
from watchkeeper.domain.spoken import spoken
from watchkeeper.store import Store, new_id
from watchkeeper.watch import CHANGES, Watch, concerned

log = structlog.get_logger(__name__)
FIXES = 500
"""How many of the last fixes are looked through for how often a plan healed."""
RUNGS = 8
"""At most so many further plans are written down."""
_NOTICED = timedelta(seconds=20)
"""How long after an alert is over a change that ended it may be noticed: configurations are looked at less often."""


class Scorekeeper:
    """Told of each plan that was not carried out; fills in what happened when its incident is over.

    `auto` decides as in mode auto: what would be permitted if it might act.
    """

    def __init__(self, store: Store, watch: Watch, auto: Decide, mode: str) -> None:
        self._store = store
        self._watch = watch
        self._auto = auto
        self._mode = mode
        self._heard: asyncio.Queue[Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._store.listen(self._hear)
        self._task = asyncio.create_task(self._run(), name="score")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def would(self, incident: Incident, plan: Plan) -> None:
        """Mode observe: this plan was ready."""
        await self._propose(incident, plan, "observe", now())

    async def refused(self, incident: Incident, plan: Plan) -> None:
        """In mode observe a plan that is not permitted at all counts too: with the reason, in the words of policy."""
        if self._mode == "observe":
            await self.would(incident, plan)

    async def catch_up(self) -> None:
        """What ended while we did not run, or by another executor's hand."""
        for proposal in await self._store.select(Proposal, status="open"):
            await self._settle(proposal.incident)

    async def settled(self) -> None:
        """Once everything heard so far is written down."""
        await self._heard.join()

    def _hear(self, event: Event) -> None:
        if event.kind in ("incident.closed", "approval.expired", "approval.void"):
            self._heard.put_nowait(event)

    async def _run(self) -> None:
        await self.catch_up()
        while True:
            event = await self._heard.get()
            try:
                if event.kind == "incident.closed":
                    await self._settle(event.subject)
                else:
                    await self._unanswered(await self._store.get(Approval, event.subject))
            except Exception:
                log.exception("the score could not be kept", subject=event.subject)
            finally:
                self._heard.task_done()

    async def _unanswered(self, approval: Approval) -> None:
        """Nobody decided, in time or before it was over."""
        over = approval.status == "void" and approval.note.startswith("the incident is over")
        if approval.incident and approval.requested_by == LOOP and (approval.status == "expired" or over):
            incident = await self._store.get(Incident, approval.incident)
            await self._propose(incident, approval.plan, "unanswered", approval.created_at)

    async def _propose(self, incident: Incident, plan: Plan, held: Held, at: datetime) -> None:
        known = await self._store.select(Proposal, incident=incident.id)
        if any(p.plan.key == plan.key and p.episode == incident.reopened for p in known):
            return
        await self._auto.amendments.load()
        alerts = await self._store.select(Alert, incident=incident.id)
        first_sign = min((a.pending_at for a in alerts if a.status == "firing"), default=incident.opened_at)
        healed, tried, takes = await self._history(plan)
        proposal = Proposal(
            id=new_id("wld"),
            incident=incident.id,
            plan=plan,
            held=held,
            policy=self._auto.permit(plan, self._watch.situation(plan.resources), LOOP),
            decided_at=at,
            after_seconds=round(max(0.0, (at - min(first_sign, at)).total_seconds()), 3),
            then=await self._then(incident, plan),
            episode=incident.reopened,
            healed_before=healed,
            tried_before=tried,
            takes_seconds=takes,
        )
        async with self._store.transaction() as transaction:
            await transaction.put(proposal)

    async def _then(self, incident: Incident, plan: Plan) -> tuple[Plan, ...]:
        """The rungs that would follow, as far as can be told from how things stand now."""
        root = plan.diagnosis.root if plan.diagnosis else incident.root
        at = self._watch.situation(tuple(dict.fromkeys((root, *incident.resources))))
        if root not in at.resources:
            return ()
        found: list[Plan] = []
        tried = (*incident.tried, plan.key)
        while len(found) < RUNGS:
            further, _ = await self._auto.next_plan(root, replace(incident, tried=tried), at)
            if further is None:
                break
            found.append(further)
            tried = (*tried, further.key)
        return tuple(found)

    async def _history(self, plan: Plan) -> tuple[int, int, float]:
        """How often this plan healed such a resource, of how often it was tried, and how long it takes, in seconds."""
        kind = plan.resources[0].split("/")[2]
        fixes = [
            fix
            for fix in await self._store.select(Fix, status="closed", limit=FIXES)
            if fix.plan.author == plan.author and fix.plan.resources[0].split("/")[2] == kind and counts(fix)
        ]
        took = [(fix.finished_at - fix.started_at).total_seconds() for fix in fixes if fix.finished_at]
        healed = sum(fix.verdict is not None and fix.verdict.outcome == "healed" for fix in fixes)
        settles = sum(self._auto.tool(step.tool).settle for step in plan.steps)
        return healed, len(fixes), statistics.median(took) if took else settles

    async def _settle(self, key: str) -> None:
        """The incident is over: what then happened."""
        incident = await self._store.find(Incident, key)
        if incident is None or incident.status != "closed" or incident.closed_at is None:
            return
        resolved = [a.resolved_at for a in await self._store.select(Alert, incident=key) if a.resolved_at]
        ended = min(max(resolved, default=incident.closed_at), incident.closed_at)
        if incident.merged_into is not None:
            await self._settle(incident.merged_into)
            return
        alike = (key, *incident.absorbed)
        fixes = [fix for one in alike for fix in await self._store.select(Fix, incident=one)]
        for proposal in [p for one in alike for p in await self._store.select(Proposal, incident=one, status="open")]:
            changes = await self._store.happened(
                CHANGES,
                since=proposal.decided_at,
                until=max(incident.closed_at, ended + _NOTICED),
                resources=concerned(incident.resources, self._watch.fleet.resources),
            )
            ending, what = conclude(proposal, incident, fixes, [c for c in changes if not c.data.get("fix")], ended)
            async with self._store.transaction() as transaction:
                await transaction.put(proposal.end(ending, max(ended, proposal.decided_at), what))


def conclude(
    proposal: Proposal, incident: Incident, fixes: Sequence[Fix], changes: Sequence[Event], ended: datetime
) -> tuple[Ending, str]:
    """What then happened, as far as it can be seen. `changes`: those of others since the proposal."""
    plans = (proposal.plan, *proposal.then)
    for fix in sorted(fixes, key=lambda known: known.started_at):
        if fix.started_at >= proposal.decided_at:
            alike = fix.plan.key in [plan.key for plan in plans]
            who = fix.approved_by or fix.principal.id
            when = _later(fix.started_at, proposal)
            return ("same" if alike else "other"), f"{who} had {fix.plan.author} carried out {when} ({fix.id})"
    for change in changes:
        if any(same(plan, *values) for plan in plans for values in _values(change)):
            return "same", f"a person did the same {_later(change.at, proposal)}: {change.text}"
    if changes:
        return "other", f"something else was changed {_later(changes[0].at, proposal)}: {changes[0].text}"
    if incident.outcome == "gone":
        return "gone", "it was removed"
    seconds = max(0.0, (ended - proposal.decided_at).total_seconds())
    return "recovered", f"it recovered after {spoken(seconds)}, and no change was seen"


def _later(at: datetime, proposal: Proposal) -> str:
    return f"{spoken(max(0.0, (at - proposal.decided_at).total_seconds()))} later"


def _values(change: Event) -> list[tuple[str, str, str]]:
    changes = cast("list[dict[str, Any]]", change.data.get("changes") or [])
    return [(str(c["setting"]), str(c["before"]), str(c["after"])) for c in changes]
