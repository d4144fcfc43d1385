"""What is watched, and through what it is handled."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from watchkeeper.domain.network import Network


class Health(StrEnum):
    """How a resource is. `UNKNOWN` when there is no data: no data is never called healthy."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def rank(self) -> int:
        """0 is best; used to tell whether something got worse. `UNKNOWN` ranks beside `HEALTHY`: it proves nothing."""
        return {"HEALTHY": 0, "UNKNOWN": 0, "DEGRADED": 1, "FAILED": 2}[self.value]


WORST_FIRST = (Health.FAILED, Health.DEGRADED, Health.UNKNOWN, Health.HEALTHY)
"""The order of lists for people: what is not known comes before what is well."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Anything watched.

    `id` is `provider/environment/kind/name`; `slug` is short and unique, for paths and people. `incarnation` changes
    when what bears the name is another thing (a recreated container): an approval is bound to it. `may_act` is true
    only where the configuration or a label permits changes. `settings` holds the connector's own configuration, with
    credentials still as references.
    """

    id: str
    slug: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    depends_on: tuple[str, ...] = ()
    runs_on: str | None = None
    """Id of the resource that carries it (its container): upstream of it, but its own tools go first."""
    ports: tuple[int, ...] = ()
    """TCP ports that its server listens on, inside its host, where they are known."""
    incarnation: str = ""
    may_act: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def provider(self) -> str:
        return self.id.split("/")[0]

    @property
    def environment(self) -> str:
        return self.id.split("/")[1]

    @property
    def kind(self) -> str:
        return self.id.split("/")[2]

    @property
    def name(self) -> str:
        return self.id.split("/", 3)[3]

    @property
    def upstream(self) -> tuple[str, ...]:
        """Everything it needs to work: what it depends on, and what it runs on."""
        return (*self.depends_on, self.runs_on) if self.runs_on else self.depends_on


Level = Literal["WARNING", "ERROR", "CRITICAL"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One kept log entry; a traceback is one entry."""

    at: datetime
    level: Level
    text: str
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a host grants. `None`: no limit known."""

    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = None
    spare_bytes: int | None = None
    """Without a limit of memory: what it uses, and half of what its machine has left, where that can be told."""

    @property
    def room_bytes(self) -> int | None:
        """How much memory it may come to use; None where nobody can tell."""
        return self.memory_bytes or self.spare_bytes


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command on a host gave."""

    exit_code: int
    stdout: str
    stderr: str


StopCause = Literal["", "on_purpose", "killed", "oom", "exited", "unknown"]


@dataclass(frozen=True, slots=True)
class HostState:
    """How the host itself is. `stopped_by` is empty while it runs, `unknown` where the event that tells is missing."""

    status: str
    """`running`, `paused`, `exited`, `restarting`, `created`, `dead`, `gone`, `unreachable`."""
    pid: int = 0
    start_count: int = 0
    """How often it was started, as far as can be told; changes with every start."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    stopped_by: StopCause = ""
    health: str = ""
    """What its own health check says, where it has one."""
    stopping: bool = False
    """It runs, and was told to end a moment ago."""


class Host(Protocol):
    """What a service runs on and is handled through."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str:
        """How it is reached: `docker`, `local`, `ssh`. The first word of the ids of what is on it."""
        ...

    @property
    def kind(self) -> str:
        """What it is as a resource: `container`, `service`."""
        ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def incarnation(self) -> str: ...

    async def state(self) -> HostState: ...
    async def processes(self) -> Sequence[str]:
        """The commands that run on it, or would if it ran (its entry point), with arguments."""
        ...

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        """Addresses at which its TCP port can be reached from here, best first."""
        ...

    async def environment(self) -> Mapping[str, str]:
        """The variables its main process was started with. Secrets among them: never stored, never shown."""
        ...

    async def network(self) -> Network:
        """Where it stands on the network, where it listens, and its connections.

        One that does not run has the addresses and names it is known by, and no connections. Quick: asked for every
        few seconds.
        """
        ...

    async def limits(self) -> Limits: ...
    async def start(self) -> None: ...
    async def restart(self) -> None: ...
    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult: ...
    async def read_file(self, path: str) -> bytes: ...
    async def write_file(self, path: str, content: bytes) -> None: ...
    def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]: ...
