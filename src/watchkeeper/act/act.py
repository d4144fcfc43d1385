"""Begin, complete and undo a fix."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dbos import DBOS, SetWorkflowID

from watchkeeper.act.workflow import Executor
from watchkeeper.domain import Decision, Event, Fix, Plan, Principal, now
from watchkeeper.domain.situation import Eyes, Situation
from watchkeeper.store import Store, new_id


class Act:
    """What the loop calls; the workflow does it."""

    def __init__(self, store: Store, eyes: Eyes, executor: Executor, deadline: float) -> None:
        self._store = store.patiently()
        self._eyes = eyes
        self._executor = executor
        self._deadline = timedelta(seconds=deadline)

    async def begin(
        self,
        plan: Plan,
        situation: Situation,
        *,
        principal: Principal,
        decision: Decision,
        incident: str | None = None,
        key: str | None = None,
        approved_by: str = "",
        health: Mapping[str, str],
    ) -> Fix:
        """The Fix as it starts, not yet stored: its first row goes with the incident's change, in one transaction."""
        began = now()
        return Fix(
            id=key or new_id("fix"),
            incident=incident,
            plan=plan,
            principal=principal,
            decision=decision,
            status="running",
            started_at=began,
            deadline=began + self._deadline,
            before=dict(situation.readings),
            neighbours=dict(health),
            approved_by=approved_by,
        )

    async def complete(self, fix: Fix) -> Fix:
        """Execute, or resume where a crash left it. Idempotent: the workflow's id is the fix's."""
        if fix.status != "running":
            return fix
        await self._workflow(fix.id, self._executor.carry_out, fix.id, len(fix.plan.steps))
        fix = await self._store.get(Fix, fix.id)
        fix = replace(fix, status="executed", executed_at=fix.executed_at or now())
        text = f"{fix.plan.author} was carried out; now it is judged"
        await self._store.save(fix, self._event("fix.executed", fix, text))
        return fix

    async def undo(self, fix: Fix) -> Fix:
        """Put back what has an undo, the last step first."""
        changed = [r.index for r in fix.steps if r.status in ("done", "unknown", "failed") and r.before is not None]
        undoable = [i for i in changed if self._has_undo(fix, i)]
        if undoable:
            fix = replace(fix, status="undoing")
            why = fix.broke_off if fix.half_done else f"{fix.plan.author} did not help"
            why = fix.stopped.told if fix.stopped else why
            await self._store.save(fix, self._event("fix.undoing", fix, f"{why}: taking it back"))
            await self._workflow(f"{fix.id}:undo", self._executor.take_back, fix.id, undoable)
            fix = await self._store.get(Fix, fix.id)
        return fix

    def _has_undo(self, fix: Fix, index: int) -> bool:
        record = fix.step(index)
        return record is not None and self._executor.has_undo(record.tool)

    async def _workflow(self, of: str, function: Any, *arguments: Any) -> None:
        """Enter it, or wait for its end where it runs; what another executor has left unfinished is taken over."""
        key = self._executor.key(of)
        if key != of:
            for left in await DBOS.list_workflows_async(workflow_id_prefix=f"{of}:exec-", status="PENDING"):
                if left.workflow_id != key:
                    await DBOS.cancel_workflow_async(left.workflow_id)
        with SetWorkflowID(key):
            handle = await DBOS.start_workflow_async(function, *arguments)
        await handle.get_result()

    def _event(self, kind: str, fix: Fix, text: str) -> Event:
        return Event(kind, fix.id, text, now(), by=fix.principal.id, incident=fix.incident)
