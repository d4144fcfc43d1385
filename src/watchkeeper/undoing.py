"""Taking back a fix that is over: a plan like any other, whose steps are the undo of the tools that were called."""

from dataclasses import dataclass
from typing import Any

from watchkeeper.decide import Decide
from watchkeeper.domain import Approval, Conflict, Effect, Fix, Plan, Principal, Step, StepRecord, WatchkeeperError, now
from watchkeeper.store import Store
from watchkeeper.watch import Watch

LATELY = 500
"""Fixes looked through for one that takes back the same."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The plan that takes a fix back, and what of it stays because it has no undo."""

    plan: Plan
    stays: tuple[str, ...]


class Undoing:
    def __init__(self, store: Store, watch: Watch, decide: Decide) -> None:
        self._store = store
        self._watch = watch
        self._decide = decide

    async def under_way(self, key: str) -> Fix | Approval | None:
        """The fix that takes this one back just now, or the approval for which that waits."""
        at_work = await self._store.select(Fix, status=("running", "executed", "undoing"), limit=LATELY)
        waiting = await self._store.select(Approval, status="waiting", limit=LATELY)
        return next((one for one in (*at_work, *waiting) if one.plan.undoes == key), None)

    async def plan(self, key: str, who: Principal, note: str = "") -> TakenBack:
        """What takes the fix back now. Raises NotFound, and Conflict where it is at work still, there is nothing to
        take back or no undo, or the state has moved on since."""
        fix = await self._store.get(Fix, key)
        if fix.status != "closed":
            raise Conflict(f"{key} is at work still.", f"`watchkeeper stop {key}` lets it begin no further step.")
        undone = {record.index for record in fix.undo if record.status == "done"}
        done = [r for r in fix.steps if r.status in ("done", "unknown") and self._changes(r) and r.index not in undone]
        if not done:
            what = "was taken back already" if undone else "changed nothing"
            raise Conflict(f"{key} {what}.", f"GET /api/fixes/{key} tells each of its steps.")
        undoable = [r for r in done if self._has_undo(r)]
        if not undoable:
            tools = ", ".join(dict.fromkeys(record.tool for record in done))
            raise Conflict(f"{key} cannot be taken back: {tools} has no undo.", "What is to be done by hand is yours.")
        left = await self._as_left(key, undoable)
        why = f"takes back {fix.plan.author} ({key})" + (f": {note}" if note else "")
        steps = tuple(self._step(record, why) for record in left)
        stays = tuple(f"{r.tool} has no undo: what it did stays" for r in done if r not in undoable)
        author = f"{'human' if who.kind == 'person' else who.kind}:{who.name}"
        return TakenBack(Plan(author, steps, now(), undoes=key), stays)

    def _changes(self, record: StepRecord) -> bool:
        known = self._decide.tools.get(record.tool)
        return known is None or known.effect is not Effect.READ or known.effect_now is not None

    def _has_undo(self, record: StepRecord) -> bool:
        known = self._decide.tools.get(record.tool)
        return (
            known is not None and known.undo_run is not None and known.state is not None and record.before is not None
        )

    def _step(self, record: StepRecord, why: str) -> Step:
        tool = self._decide.tool(record.tool)
        return Step(
            record.tool,
            record.resource,
            record.arguments,
            why,
            effect=tool.effect,
            in_bytes=tool.in_bytes,
            undo_of=record.index,
        )

    async def _as_left(self, key: str, records: list[StepRecord]) -> list[StepRecord]:
        """Those that are to be taken back, the last first. Of several that changed the same, each is compared with what
        the undo of the next makes of it. Raises Conflict where the state is not as they left it."""
        expected: dict[tuple[Any, str], Any] = {}
        left: list[StepRecord] = []
        for record in reversed(records):
            tool = self._decide.tool(record.tool)
            of = (tool.state, record.resource)
            if of not in expected:
                expected[of] = await self._state(record)
            if expected[of] != record.after:
                if expected[of] == record.before:
                    continue
                raise Conflict(
                    f"{key} is not taken back: the state of {record.resource} was changed by others since.",
                    f"{record.tool} left {record.after!r}; now it is {expected[of]!r}.",
                )
            if record.before != record.after:
                left.append(record)
            expected[of] = record.before
        if not left:
            raise Conflict(f"Everything is as it was before {key} already.")
        return left

    async def _state(self, record: StepRecord) -> Any:
        tool = self._decide.tool(record.tool)
        if tool.state is None:
            return None
        try:
            return await self._watch.call(record.resource, f"the state of {tool.name}", tool.state, 5.0)
        except Exception as problem:
            why = problem.what if isinstance(problem, WatchkeeperError) else f"{type(problem).__name__}: {problem}"
            raise Conflict(
                f"The state of {record.resource} cannot be read now, so it cannot be compared: {why}",
                "Try again when it answers.",
            ) from None
