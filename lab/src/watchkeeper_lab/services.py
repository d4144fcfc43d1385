"""The lab's services, whatever they run on: looked at, killed, started. What differs between containers and plain
processes stands behind this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from watchkeeper_lab.command import Finished

Ground = Literal["container", "process"]
"""What the services run on."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as it is now. `where` names what runs it: a container, or a process id.

    `memory_limit` in bytes, 0 for none. `started_at` changes with every start. `port` is its port on loopback, 0 for
    none. `extra` marks a replica that the lab did not start. `pid` is its main process on this machine, 0 where it does
    not run. `volumes` are the folders of this machine that it sees, by where it sees them.
    """

    where: str
    status: str
    paused: bool = False
    started_at: str = ""
    restarts: int = 0
    memory_limit: int = 0
    health: str = ""
    port: int = 0
    extra: bool = False
    pid: int = 0
    volumes: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    @property
    def running(self) -> bool:
        """True where it runs and is not paused."""
        return self.status == "running" and not self.paused


class Services(Protocol):
    """The services of one lab by name: `redis`, `postgres`, `nginx`, `shop-1`, `shop-2`."""

    ground: Ground

    async def states(self) -> dict[str, ServiceState]:
        """All of them as they are now, replicas that others added too."""
        ...

    async def kill(self, service: str) -> None:
        """SIGKILL; nothing starts it again."""
        ...

    async def start(self, service: str) -> None:
        """Start it again, as it was."""
        ...

    async def restart(self, service: str) -> None:
        """End it, by force after two seconds, and start it."""
        ...

    async def unpause(self, service: str) -> None:
        """Let it go on."""
        ...

    async def pause(self, service: str) -> None:
        """Freeze it."""
        ...

    async def stop(self, service: str) -> None:
        """Stop it as a person does who means it."""
        ...

    async def limit_memory(self, service: str, size: int) -> None:
        """Set its memory limit, in bytes."""
        ...

    async def execute(self, service: str, *words: str, timeout: float = 10.0) -> Finished:
        """Run a program where the service runs, with its rights and in its folder; `timeout` in seconds."""
        ...

    async def read_file(self, service: str, path: str) -> str:
        """A file of a service, whether it runs or not. A plain process' paths start at its folder."""
        ...

    async def write_file(self, service: str, path: str, text: str) -> None:
        """Put this text in its place."""
        ...

    async def log(self, service: str, since: float) -> str:
        """What it has logged since a moment (Unix time), or before where a plain process' log does not tell when."""
        ...

    async def remove(self, service: str) -> None:
        """Remove a replica that the lab did not start."""
        ...
