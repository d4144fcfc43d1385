"""Who else heals a resource: a restart policy, systemd, Sentinel, Patroni, Kubernetes. Two healers must not fight."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from watchkeeper.domain.reading import Reading
from watchkeeper.domain.tool import Tool


@dataclass(frozen=True, slots=True)
class Healer:
    """One that brings a resource back by itself.

    `name` is for people. `wait`: seconds it is given before anything here starts or restarts what it tends. `hangs`: it
    also acts on what runs and does not answer, not only on what has ended. `owns`: what it tends is started and
    restarted by it alone. `done`: why nothing is waited for, where it has done its part or will do nothing (a container
    ended through the engine); else empty. `instead`: what a person would do through it.
    """

    kind: str
    name: str
    wait: float = 10.0
    hangs: bool = False
    owns: bool = False
    done: str = ""
    instead: str = ""
    refuses: str = ""
    """Why nothing may be restarted now; empty where it may."""

    @property
    def said(self) -> str:
        """One line for people."""
        if self.owns:
            return f"{self.name}: it alone starts and restarts it"
        if self.done:
            return f"{self.name}: {self.done}"
        if self.wait <= 0:
            return self.name
        return f"{self.name}: given {self.wait:g} s to bring it back where it ends{' or hangs' if self.hangs else ''}"

    def waited_for(self, reading: Reading | None) -> bool:
        """Whether it may be about to heal what this reading shows."""
        if self.done or self.owns or self.wait <= 0:
            return False
        return self.hangs or (reading is not None and ended(reading))


@runtime_checkable
class Tended(Protocol):
    """What a connector may have besides: it knows who else looks after its resource."""

    def healers(self, session: Any) -> Sequence[Healer]:
        """Who, as the last look found it. Asks nobody; must not raise."""
        ...


def ended(reading: Reading) -> bool:
    """Whether it, or what it runs on, is not there: what merely hangs no restart policy heals."""
    seen = reading.metrics
    gone = any(seen.get(name) == 0.0 for name in ("running", "host_running", "up"))
    return gone or seen.get("restarting") == 1.0


def fights(tool: Tool[Any], healers: Iterable[Healer]) -> str | None:
    """Why a tool must not be called on what somebody else owns, or None."""
    if not tool.revives:
        return None
    for healer in healers:
        if healer.refuses:
            return healer.refuses
        if healer.owns:
            instead = f" Do it there: {healer.instead}" if healer.instead else ""
            return f"{healer.name} looks after it, and would fight or undo it.{instead}"
    return None
