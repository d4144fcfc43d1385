"""What the planner needs of those who watch and carry out; handed in by the server."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from watchkeeper.domain import Event, Incident, LogLine, Reading, Resource


class Surroundings(Protocol):
    """Only looks: there is nothing in it that changes anything."""

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Everything watched, by id."""
        ...

    def resource(self, key: str) -> Resource:
        """By id or slug. Raises NotFound, which names the nearest."""
        ...

    def readings(self, resource: str, since: datetime) -> Sequence[Reading]:
        """Those still at hand, oldest first."""
        ...

    def templates(self, resource: str) -> Sequence[str]:
        """What its log usually says, the most remarkable first."""
        ...

    async def logs(self, resource: str, since: datetime) -> Sequence[LogLine]:
        """What was kept of its log, and of what carries it, oldest first."""
        ...

    async def changes(self, incident: Incident) -> Sequence[Event]:
        """What changed lately that may have to do with it, the nearest first."""
        ...

    async def look_up(self, tool: str, resource: str, arguments: Mapping[str, Any]) -> Any:
        """What a tool that only reads says. Raises WatchkeeperError."""
        ...

    async def keep(self, readings: Sequence[Reading]) -> None:
        """Store these, so that what is cited can be looked up later."""
        ...
