"""The hands: one durable workflow executes one plan. The Fix row is the truth; DBOS re-enters it after a crash.

Each step is three writes: *intended* with the state before, *acting*, and the result. A step found *acting* when the
workflow is entered again was interrupted: the state tells whether it was done, and where nothing can tell it is not
repeated but left to be judged.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import structlog
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSConfiguredInstance,
    DBOSPortableJSONSerializer,
    _sys_db,  # pyright: ignore[reportPrivateUsage]
)

from watchkeeper.act.aloud import aloud
from watchkeeper.domain import Effect, Event, Fix, Plan, Refused, Step, StepRecord, Tool, WatchkeeperError, now
from watchkeeper.domain.healer import fights
from watchkeeper.domain.sharing import Fence
from watchkeeper.domain.situation import Eyes, Permits
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
APPLICATION_VERSION = "1"
"""Raise it only with a change of the workflow's own steps: pending workflows of another version are not resumed."""

SCHEMA = "watchkeeper_workflows"
"""Where DBOS keeps its tables when the store is PostgreSQL."""

STALE = 15.0
"""Seconds from the look to the act; a step that could not be recorded for longer is looked at once more."""
ON_ITS_WAY = 12.0
"""Seconds in which what a dead client began may still take effect: an engine gives a process ten to stop."""


class Fenced:
    """Awaits a tool's work, and lets go of it at its next breath once the lease may have ended.

    A process that was stopped, or whose machine slept, so does nothing of what it was about to do when it wakes.
    """

    def __init__(self, work: Awaitable[Any], fence: Fence) -> None:
        self._work = work
        self._fence = fence

    def __await__(self) -> Generator[Any, Any, Any]:
        work = self._work.__await__()
        try:
            self._fence.check()
            waits = next(work)
            while True:
                try:
                    given = yield waits
                except BaseException as problem:
                    waits = work.throw(problem)
                else:
                    self._fence.check()
                    waits = work.send(given)
        except StopIteration as end:
            return end.value
        finally:
            work.close()


@DBOS.dbos_class()
class Executor(DBOSConfiguredInstance):
    """Carries plans out, and back. One per process, for DBOS keeps it by name; `bind` gives it what it works with."""

    _store: Store
    _eyes: Eyes
    _permits: Permits
    _fence: Fence
    _under_way: set[asyncio.Task[Any]]

    def __init__(self) -> None:
        super().__init__("executor")

    def bind(self, store: Store, eyes: Eyes, permits: Permits, fence: Fence) -> "Executor":
        self._store = store.patiently()  # what is being done is written down, however long the database is away
        self._eyes = eyes
        self._permits = permits
        self._fence = fence
        self._under_way = set()
        return self

    def _enters(self) -> None:
        """The task that runs a workflow: DBOS shields it from whoever waits for it, and forgets it when it ends."""
        if (task := asyncio.current_task()) is not None:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def let_go(self) -> None:
        """Leave what is under way where it is, as written: the next start takes it up. After that DBOS may be ended."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def key(self, of: str) -> str:
        """The workflow's id: each executor's own, so that what one has left unfinished another can enter anew."""
        return f"{of}:{self._fence.id}" if self._fence.id else of

    @DBOS.workflow()
    async def carry_out(self, fix_id: str, steps: int) -> str:
        """Every step in order, until one is not done."""
        self._enters()
        status = "done"
        for index in range(steps):
            status = await self.intend(fix_id, index)
            if status == "intended":
                status = await self.perform(fix_id, index)
            if status != "done":
                break
        return status

    @DBOS.workflow()
    async def take_back(self, fix_id: str, indexes: list[int]) -> str:
        """Undo the steps with these indexes, the last first."""
        self._enters()
        for index in sorted(indexes, reverse=True):
            await self.restore(fix_id, index)
        return "done"

    @DBOS.step()
    async def intend(self, fix_id: str, index: int) -> str:
        """Look once more, ask once more, record the state: then, and only then, it may be done."""
        fix = await self._store.get(Fix, fix_id)
        known = fix.step(index)
        if known is not None:
            return "intended" if known.status == "acting" else known.status
        step = fix.plan.steps[index]
        tool, undone = await self._means(fix, index)
        record = StepRecord(index, step.tool, step.resource, step.arguments, "intended", started_at=now())
        record = replace(record, undo_of=step.undo_of)
        refusal = await self._refusal(fix, step, tool)
        before = None if refusal else await self._state(tool, step.resource)
        if undone is not None and not refusal and before != undone.after:
            refusal = "the state was changed by others since; it is left alone"
        if refusal:
            record = replace(record, status="refused", error=refusal, finished_at=now())
        else:
            record = replace(record, before=before)
        await self._record(fix, record)
        return record.status

    @DBOS.step()
    async def perform(self, fix_id: str, index: int) -> str:
        """Do it, unless it shows that it was done already."""
        fix = await self._store.get(Fix, fix_id)
        record = fix.step(index)
        if record is None:
            raise RuntimeError(f"step {index} of {fix_id} was never intended")
        tool, _ = await self._means(fix, index)
        if record.status == "acting":
            done = await self._was_done(tool, record)
            if done is not False:
                status = "done" if done else "unknown"
                why = None if done else "interrupted, and nothing can tell whether it was done: it is not repeated"
                after = await self._state(tool, record.resource)
                record = replace(record, status=status, after=after, error=why, finished_at=now())
                await self._record(fix, record)
                return status
        elif record.status != "intended":
            return record.status
        if stop := await self._permits.halted(fix_id):
            record = replace(record, status="refused", error=stop.told, finished_at=now())
            await self._record(fix, record)
            return record.status
        await self._fence.confirm(record.resource)
        record = replace(record, status="acting")
        fix = await self._record(fix, record)
        # Where it had to wait until it could be written down, what was looked at before is old by now.
        waited = record.started_at is not None and (now() - record.started_at).total_seconds() > STALE
        if waited and (refusal := await self._refusal(fix, fix.plan.steps[index], tool)):
            record = replace(record, status="refused", error=refusal, finished_at=now())
            await self._record(fix, record)
            return record.status
        record = await self._run(fix, tool, record)
        await self._record(fix, record)
        return record.status

    @DBOS.step()
    async def restore(self, fix_id: str, index: int) -> str:
        """Put back the state recorded before the step, unless somebody has changed it since."""
        fix = await self._store.get(Fix, fix_id)
        step = fix.step(index)
        if step is None:
            raise RuntimeError(f"step {index} of {fix_id} was never begun")
        tool = self._permits.tool(step.tool)
        record = fix.step(index, undo=True) or StepRecord(
            index, f"undo {step.tool}", step.resource, {}, "intended", undo_of=index, started_at=now()
        )
        if record.status not in ("intended", "acting"):
            return record.status
        record = replace(record, before=await self._state(tool, step.resource))
        if tool.undo_run is None or step.before is None:
            record = replace(record, status="skipped", error="there is no undo")
        elif record.before == step.before:
            record = replace(record, status="done", after=record.before, output="already as it was before")
        elif record.before is None:
            record = replace(record, status="skipped", error="its state cannot be read now; it is left alone")
        elif step.status == "done" and record.before != step.after:
            record = replace(record, status="skipped", error="the state was changed by others since; it is left alone")
        elif stopped := await self._permits.stopped():
            record = replace(record, status="refused", error=stopped)
        else:
            await self._fence.confirm(step.resource)
            fix = await self._record(fix, replace(record, status="acting"), undo=True)
            try:
                await self._take_back(tool.name, tool.undo_run, step, tool.timeout)
                record = replace(record, status="done", after=await self._state(tool, step.resource))
            except Exception as problem:
                record = replace(record, status="failed", error=_said(problem, tool.timeout))
        await self._record(fix, replace(record, finished_at=now()), undo=True)
        return record.status

    async def _take_back(
        self, name: str, undo: Callable[[Any, Any], Awaitable[None]], step: StepRecord, seconds: float
    ) -> None:
        def work(session: Any) -> Fenced:
            return Fenced(undo(session, step.before), self._fence)

        await self._eyes.call(step.resource, f"the undo of {name}", work, seconds)

    async def _means(self, fix: Fix, index: int) -> tuple[Tool[Any], StepRecord | None]:
        """What does a step. Of one that takes back another fix's: its undo, and the record of what is taken back."""
        step = fix.plan.steps[index]
        tool = self._permits.tool(step.tool)
        if step.undo_of is None:
            return tool, None
        undone = (await self._store.get(Fix, fix.plan.undoes)).step(step.undo_of)
        if undone is None:
            raise RuntimeError(f"step {step.undo_of} of {fix.plan.undoes} was never begun")
        return tool.taking_back(undone.before), undone

    def has_undo(self, tool: str) -> bool:
        """Whether a tool's effect can be taken back."""
        return self._permits.tool(tool).undo_run is not None

    async def _refusal(self, fix: Fix, step: Step, tool: Tool[Any]) -> str | None:
        """Why this step must not be done now, judged from a look taken now."""
        if stop := await self._permits.halted(fix.id):
            return stop.told
        if stopped := await self._permits.stopped():
            return stopped
        if now() > fix.deadline:
            return "the fix has passed its deadline"
        situation = await self._eyes.look((step.resource,))
        reading = situation.readings.get(step.resource)
        if reading is None:
            return f"{step.resource} is gone"
        refusal = tool.refusal(reading, tool.parse(step.arguments)) if tool.effect is not Effect.READ else None
        refusal = refusal or fights(tool, situation.healers.get(step.resource, ()))
        if refusal:
            return refusal
        effect = tool.effect_on(reading)
        if effect.rank > step.effect.rank:
            return f"it would be {effect} now, and only what is {step.effect} was permitted"
        alone = Plan(fix.plan.author, (step,), fix.plan.created_at, confirm=fix.plan.confirm)
        agreed_at = fix.started_at if fix.approved_by else None
        near = self._eyes.neighbours((step.resource,))
        standing = await self._permits.standing(
            alone, situation, near, incident=fix.incident, fix=fix, agreed_at=agreed_at
        )
        decision = self._permits.permit(
            alone, situation, fix.principal, approved=bool(fix.approved_by), standing=standing
        )
        return None if decision.outcome == "allow" else f"policy {decision.policy}: {decision.reason}"

    async def _was_done(self, tool: Tool[Any], record: StepRecord) -> bool | None:
        """Whether an interrupted step was done: True, False, or None where nothing can tell.

        What was begun may still be on its way (an engine restarts a container also when its client is dead), so the
        state is given time to differ before the step is believed not to have been done.
        """
        if tool.state is None or record.before is None:
            return None
        async for _ in self._eyes.settle((record.resource,), min(tool.settle, ON_ITS_WAY)):
            present = await self._state(tool, record.resource)
            if present is not None and present != record.before:
                return True
        return None if await self._state(tool, record.resource) is None else False

    async def _run(self, fix: Fix, tool: Tool[Any], record: StepRecord) -> StepRecord:
        try:
            arguments = tool.parse(record.arguments)

            def work(session: Any) -> Fenced:
                return Fenced(tool.run(session, **arguments), self._fence)

            async with aloud(self._store, fix, record, self._named(record.resource)):
                output = await self._eyes.call(record.resource, tool.name, work, tool.timeout)
            record = replace(record, status="done", output=output)
        except Refused as problem:
            record = replace(record, status="refused", error=problem.what)
        except Exception as problem:
            record = replace(record, status="failed", error=_said(problem, tool.timeout))
        return replace(record, after=await self._state(tool, record.resource), finished_at=now())

    async def _state(self, tool: Tool[Any], resource: str) -> Any:
        """The state a tool records, or None where it cannot be had."""
        if tool.state is None:
            return None
        try:
            return await self._eyes.call(resource, f"the state of {tool.name}", tool.state, 5.0)
        except Exception as problem:
            log.info("no state", tool=tool.name, resource=resource, problem=_said(problem, 5.0))
            return None

    def _named(self, resource: str) -> str:
        try:
            return self._eyes.resource(resource).slug
        except WatchkeeperError:
            return resource

    async def _record(self, fix: Fix, record: StepRecord, *, undo: bool = False) -> Fix:
        changed = fix.with_step(record, undo=undo)
        back = record.undo_of is not None and not undo  # what an undo of its own does bears it in its name
        text = f"{'undo of ' * back}{record.tool} on {self._named(record.resource)}: {record.status}"
        text += f" ({told})" if (told := record.error or (undo and record.output)) else ""
        event = Event(
            f"fix.step.{record.status}",
            fix.id,
            text,
            now(),
            by=fix.principal.id,
            incident=fix.incident,
            resource=record.resource,
            data={
                "tool": record.tool,
                "index": record.index,
                "arguments": dict(record.arguments),
                "undo": undo or back,
            },
        )
        await self._store.save(changed, event)
        return changed


def _said(problem: Exception, timeout: float) -> str:
    if isinstance(problem, TimeoutError):
        return f"cut off: {problem}" if str(problem) else f"cut off: no result within {timeout:g} s"
    return problem.what if isinstance(problem, WatchkeeperError) else f"{type(problem).__name__}: {problem}"


@cache
def _dbos_waits_for_room() -> None:
    """A full disk pauses a workflow as a lost connection does, rather than failing it for ever."""
    seam: Any = _sys_db
    known = seam.retriable_sqlite_exception

    def retriable(problem: Exception) -> bool:
        return known(problem) or "is full" in str(getattr(problem, "orig", problem))

    seam.retriable_sqlite_exception = retriable


@cache
def _executor() -> Executor:
    return Executor()


@asynccontextmanager
async def launched(url: str, store: Store, eyes: Eyes, permits: Permits, fence: Fence) -> AsyncGenerator[Executor]:
    """DBOS on a database beside the store (`sqlite:///…`), or in a schema of its own within it (`postgresql://…`).

    What was pending when the last process died is resumed at once.
    """
    _dbos_waits_for_room()
    config: DBOSConfig = {
        "name": "watchkeeper",
        "system_database_url": url,
        "dbos_system_schema": SCHEMA,
        "sys_db_pool_size": 5,
        "application_version": APPLICATION_VERSION,
        "executor_id": fence.id or "watchkeeper",
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
    }
    DBOS(config=config)
    executor = _executor().bind(store, eyes, permits, fence)
    DBOS.launch()
    try:
        yield executor
    finally:
        await executor.let_go()
        # DBOS ends its threads, which it had put in the loop's place: who looks gets others, what waits its turn.
        turn = (loop := asyncio.get_running_loop()).run_in_executor(None, int)
        loop.set_default_executor(ThreadPoolExecutor())
        await turn
        await asyncio.to_thread(DBOS.destroy, destroy_registry=False)
