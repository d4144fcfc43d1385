"""A machine as a host of its own: what is watched there is the machine itself, not a service on it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from watchkeeper.domain import ExecResult, HostState, Limits, Network, NotFound, Refused, WatchkeeperError
from watchkeeper.hosts.machine import Machine
from watchkeeper.hosts.shell import Output

_UNTOUCHED = "A machine is never started, stopped or restarted from here."


class MachineHost:
    """One machine as a whole. It has no processes, ports or log of its own: those belong to what runs on it."""

    provider: str
    kind = "machine"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.provider = machine.provider
        self.name = machine.name or socket.gethostname().partition(".")[0] or "localhost"

    def __repr__(self) -> str:
        return f"<machine {self.id}>"

    @property
    def id(self) -> str:
        return f"{self.provider}:machine:{self.name}"

    @property
    def labels(self) -> Mapping[str, str]:
        """What the configuration says of the machine."""
        return self.machine.labels

    @property
    def incarnation(self) -> str:
        return self.id

    async def vitals(self, mounts: Sequence[str] = (), *, seldom: bool = False) -> bytes:
        """What `vitals.sh` writes. `mounts` are looked at whatever they are; `seldom`: what changes seldom too.

        Raises WatchkeeperError where the machine cannot be asked.
        """
        out: Output = await self.machine.run("vitals", ["1" if seldom else "0", *mounts], timeout=8.0)
        if out.exit_code:
            raise WatchkeeperError(f"{self.machine.shell.machine} could not be looked at: {out.said}")
        return out.stdout

    async def state(self) -> HostState:
        return HostState("unreachable" if self.machine.problem else "running")

    async def processes(self) -> Sequence[str]:
        return ()

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        return ()

    async def environment(self) -> Mapping[str, str]:
        return {}

    async def network(self) -> Network:
        return Network()

    async def limits(self) -> Limits:
        return Limits()

    async def start(self) -> None:
        raise Refused(_UNTOUCHED)

    async def restart(self) -> None:
        raise Refused(_UNTOUCHED)

    async def exec(self, command: Sequence[str], *, timeout: float = 10.0) -> ExecResult:
        """Run a command there, as we are there. Raises WatchkeeperError when it does not end in time."""
        out = await self.machine.run("exec", [f"{timeout:g}", *command], timeout=timeout + 2.0)
        if out.exit_code == 124:
            raise WatchkeeperError(f"{command[0]} on {self.machine.shell.machine} did not end within {timeout:g} s.")
        return ExecResult(out.exit_code, out.stdout.decode(errors="replace"), out.stderr.decode(errors="replace"))

    async def read_file(self, path: str) -> bytes:
        raise NotFound(f"{path}: files of a machine are read through what runs on it.")

    async def write_file(self, path: str, content: bytes) -> None:
        raise Refused(_UNTOUCHED)

    async def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        """None: the journal belongs to what writes it."""
        await asyncio.Event().wait()
        for never in ():
            yield never


class Wholes:
    """The provider of machines as hosts, beside each machine's provider of services."""

    name = "machines"
    problem: str | None = None

    def __init__(self, machines: Sequence[Machine]) -> None:
        self._hosts = [MachineHost(machine) for machine in machines]

    async def hosts(self) -> list[MachineHost]:
        """One for each machine, reached or not: that one is not reached is for its reading to say."""
        return list(self._hosts)
