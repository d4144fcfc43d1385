"""The planner's seat, where it is left to agents: they have their time, and who plans after that."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchkeeper.domain import Event, Fix, Hold, Incident
from watchkeeper.store import Store

LEFT = "agent.left"
"""An agent hands in nothing for an incident: whoever is next goes on at once."""


@dataclass(frozen=True, slots=True)
class Seat:
    """`wait` is how long an incident waits for an agent's plan, from when it opened (again) and from each fix that did
    not help; then runbooks plan where they may (`then_runbooks`), else a person is told."""

    wait: timedelta
    then_runbooks: bool

    async def hold(self, incident: Incident, store: Store, at: datetime) -> Hold | None:
        """Until when nothing is planned here; None once the time is over, or the agent leaves it."""
        if await self._left(incident, store):
            return None
        until = await self._begun(incident, store) + self.wait
        if until <= at:
            return None
        after = "runbooks plan" if self.then_runbooks else "a person is told"
        return Hold(until, f"an agent is given until {until:%H:%M:%S} UTC to hand in a plan; then {after}")

    async def why(self, incident: Incident, store: Store) -> str:
        """Why nobody else plans."""
        if left := await self._left(incident, store):
            return left.text
        return f"the planner's seat is left to agents, and none handed in a plan within {self.wait.total_seconds():g} s"

    async def _left(self, incident: Incident, store: Store) -> Event | None:
        said = await store.events(incident=incident.id, kinds={LEFT}, newest=True, limit=1)
        return said[-1] if said and said[-1].at > await self._begun(incident, store) else None

    @staticmethod
    async def _begun(incident: Incident, store: Store) -> datetime:
        """When it opened, opened again, or the last fix was over."""
        fixes = await store.select(Fix, incident=incident.id)
        over = [fix.finished_at for fix in fixes if fix.finished_at is not None]
        reopened = await store.events(
            incident=incident.id, kinds={"incident.reopened", "incident.joined"}, newest=True, limit=1
        )
        return max((incident.opened_at, *over, *(event.at for event in reopened)))
