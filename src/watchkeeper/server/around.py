"""What the language model may see, and nothing that it could change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from watchkeeper.decide import Decide
from watchkeeper.domain import Effect, Event, Forbidden, Incident, LogLine, Principal, Reading, Resource, now
from watchkeeper.loop import Loop
from watchkeeper.store import Store
from watchkeeper.watch import Watch, lately

MODEL = Principal("agent", "llm", "agent")
"""As whom it looks: policy may forbid it that."""
LARGEST = 4000
"""Characters of what a look-up gives."""


class Around:
    """The eyes of the planner (`decide.model.Surroundings`)."""

    def __init__(self, store: Store, watch: Watch, decide: Decide, loop: Loop) -> None:
        self._store = store
        self._watch = watch
        self._decide = decide
        self._loop = loop

    @property
    def resources(self) -> Mapping[str, Resource]:
        return self._watch.fleet.resources

    def resource(self, key: str) -> Resource:
        return self._watch.resource(key)

    def readings(self, resource: str, since: datetime) -> Sequence[Reading]:
        watcher = self._watch.watchers.get(resource)
        return [reading for reading in watcher.ring if reading.at >= since] if watcher else []

    def templates(self, resource: str) -> Sequence[str]:
        miner = self._watch.listening.miners.get(resource)
        if miner is None:
            return []
        return [f"{one.level or ''} {one.text} ({one.count} times)".strip() for one in miner.templates(now())]

    async def logs(self, resource: str, since: datetime) -> Sequence[LogLine]:
        known = self.resources.get(resource)
        own = await self._store.logs(resource, since=since)
        carrier = known.runs_on if known else None
        return [*(await self._store.logs(carrier, since=since) if carrier else []), *own]

    async def changes(self, incident: Incident) -> Sequence[Event]:
        return await lately(self._store, self.resources, incident.resources, incident.opened_at)

    async def look_up(self, tool: str, resource: str, arguments: Mapping[str, Any]) -> Any:
        """By the one entrance, as anybody's look-up: policy decides, and the history tells."""
        known, at = self._watch.resource(resource), self._watch.situation((resource,))
        plan = self._decide.plan_for(tool, known, arguments, MODEL, at)
        if plan.effect is not Effect.READ:
            raise Forbidden(f"{tool} does not only look.", "Plan with it instead.")
        from watchkeeper.server.mcp.bounded import bounded  # its package needs the whole of `server`

        output, left_out = bounded((await self._loop.submit(plan, MODEL)).output, LARGEST)
        return {"answer": output, "left_out": left_out} if left_out else output

    async def keep(self, readings: Sequence[Reading]) -> None:
        async with self._store.transaction() as transaction:
            await transaction.keep_readings(readings)
