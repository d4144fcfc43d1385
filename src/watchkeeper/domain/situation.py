"""How things stand at one moment: what `watch` hands to those who decide, act and judge."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from watchkeeper.domain.healer import Healer
from watchkeeper.domain.incident import Fix
from watchkeeper.domain.plan import Effect, Plan
from watchkeeper.domain.policy import Decision, Principal
from watchkeeper.domain.reading import Probe, Reading
from watchkeeper.domain.resource import Health, Resource
from watchkeeper.domain.restraint import Standing
from watchkeeper.domain.rule import Alert
from watchkeeper.domain.said import Stop
from watchkeeper.domain.tool import Tool


@dataclass(frozen=True, slots=True)
class Situation:
    """One look at several resources: the readings are fresh, taken at or after `at`."""

    at: datetime
    resources: Mapping[str, Resource]
    readings: Mapping[str, Reading]
    alerts: tuple[Alert, ...] = ()
    """Pending and firing alerts on these resources."""
    health: Mapping[str, Health] = field(default_factory=dict[str, Health])
    showing: frozenset[str] = frozenset[str]()
    """Ids of the firing alerts whose condition holds on the reading at hand: the fault is still there to see."""
    healers: Mapping[str, tuple[Healer, ...]] = field(default_factory=dict[str, tuple[Healer, ...]])
    """Who else brings each of them back: those of what it runs on, too."""

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.alerts if alert.status == "firing")

    def alerts_of(self, resource: str) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.firing if alert.resource == resource)


class Eyes(Protocol):
    """What those who act and judge need of `watch`. Handed in by the loop."""

    def resource(self, key: str) -> Resource:
        """By id or slug. Raises NotFound, which names the nearest."""
        ...

    async def call(self, resource: str, what: str, function: Callable[[Any], Awaitable[Any]], seconds: float) -> Any:
        """What `function` makes of the open session, within so many seconds. Its code is the connector's: one that
        blocks everything is cut off and told, as a look is. Raises Conflict where no session is open, TimeoutError."""
        ...

    def neighbours(self, resources: tuple[str, ...]) -> tuple[str, ...]:
        """What they need and what needs them, without themselves."""
        ...

    async def look(self, resources: tuple[str, ...]) -> Situation: ...

    def settle(self, resources: tuple[str, ...], seconds: float) -> AsyncIterator[Situation]:
        """Quick looks, one after the other, for at most so many seconds."""
        ...

    async def probe(self, resource: str) -> Probe: ...


class Permits(Protocol):
    """What those who act need of `decide`: asked again before every step."""

    async def stopped(self) -> str | None:
        """Why nothing may be done now (paused), or None."""
        ...

    async def halted(self, fix: str) -> Stop | None:
        """Whether somebody has stopped this fix."""
        ...

    def tool(self, name: str) -> Tool[Any]:
        """Raises NotFound, which names the nearest."""
        ...

    async def standing(
        self,
        plan: Plan,
        situation: Situation,
        near: Sequence[str],
        *,
        incident: str | None = None,
        fix: Fix | None = None,
        agreed_at: datetime | None = None,
    ) -> Standing:
        """What holds beside the table: changes lately, maintenance, cooldown, breakers."""
        ...

    def permit(
        self, plan: Plan, situation: Situation, principal: Principal, *, approved: bool, standing: Standing
    ) -> Decision: ...


def effect_of(plan: Plan, tools: Mapping[str, Tool[Any]], situation: Situation) -> dict[int, Effect]:
    """The effect of each step now, computed from state; never gentler than what the plan says."""
    return {
        index: max(
            step.effect,
            tools[step.tool].effect_on(situation.readings.get(step.resource)),
            key=lambda effect: effect.rank,
        )
        for index, step in enumerate(plan.steps)
    }
