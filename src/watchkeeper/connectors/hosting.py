"""How the host of a service is, as metrics: what tells a server that is down from one whose container was stopped."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.domain import ExecResult, Host, HostState, Reading, Refused, WatchkeeperError, now
from watchkeeper.hosts import ContainerHost
from watchkeeper.hosts.beside import exec_beside
from watchkeeper.hosts.usage import disk_here

HOST_SECONDS = 0.3
"""A host that is asked beside a look must not make it late."""
START_SECONDS = 60.0
"""A server whose host was started so lately, and that has never answered, is at its start: an image that makes its
database first takes tens of seconds, and to restart it then would leave half of one."""
OFF = ("host_stopped_on_purpose", "host_stopped_before_watch")
ENDED = ("exited", "dead", "created")
FLAGS = (
    "host_paused",
    "host_stopped_on_purpose",
    "host_stopped_unknown",
    "host_stopped_before_watch",
    "host_starting",
)
RUNNING = {"host_known": 1.0, "host_running": 1.0, **dict.fromkeys(FLAGS, 0.0), "host_ended_seconds": 0.0}
"""All that a look may say of a host; of one that runs."""
_NO_HANDS = "It is known only by its address; nothing here can handle what it runs on."


async def state_of(host: Host | None) -> HostState | None:
    """How it is now, `unreachable` where it does not say in time; None without a host."""
    if host is None:
        return None
    try:
        async with asyncio.timeout(HOST_SECONDS):
            return await host.state()
    except (WatchkeeperError, TimeoutError):
        return HostState("unreachable")


def metrics_of(state: HostState | None, *, answered: bool = True) -> dict[str, float]:
    """How the host is. A server that answers, or one without a host, has nothing to blame its host for; a host that
    cannot be asked leaves them absent, and then no rule that needs them fires."""
    if state is None:
        return dict.fromkeys(FLAGS, 0.0) | {"host_running": 1.0, "host_ended_seconds": 0.0}
    if state.status == "unreachable":
        return {}
    running = state.status in ("running", "paused", "restarting")
    flags = {
        "host_running": running,
        "host_paused": state.status == "paused",
        "host_stopped_on_purpose": state.stopped_by == "on_purpose" or state.status == "gone",
        "host_stopped_unknown": state.stopped_by == "unknown",
        # Nobody waits for what had ended in peace, or was never started, before it was first seen.
        "host_stopped_before_watch": not running
        and not answered
        and (state.status == "created" or state.exit_code == 0),
        "host_starting": running and not answered and _started_for(state) < START_SECONDS,
    }
    ended = 0.0 if running else ended_for(state)
    return {name: float(value) for name, value in flags.items()} | {"host_ended_seconds": ended}


def ended(state: HostState, *, before_watch: bool) -> str:
    """How it ended, in a few words: the same of a container, a service, and what runs in them."""
    if before_watch:
        return "stopped before it was watched"
    if state.status == "created":
        return "never started"
    code = "" if state.exit_code is None else f" (exit code {state.exit_code})"
    return {
        "on_purpose": "stopped on purpose",
        "killed": f"killed{code}",
        "oom": "killed for lack of memory",
        "exited": f"ended by itself{code}",
        "unknown": f"stopped; why it ended was not seen{code}",
    }.get(state.stopped_by, state.status)


def stopped(host: Host, state: HostState, metrics: Mapping[str, float]) -> str:
    """What is told of a server whose host does not run; `metrics` as `metrics_of` gave them."""
    if state.status in ("paused", "restarting", "unreachable", "gone"):
        return f"its {host.kind} is {state.status}"
    return f"its {host.kind} does not run: {ended(state, before_watch=metrics.get('host_stopped_before_watch') == 1.0)}"


def _started_for(state: HostState) -> float:
    """For how many seconds it has run; for ever where that is not told."""
    return max(0.0, (now() - state.started_at).total_seconds()) if state.started_at else math.inf


def up_for(state: HostState) -> float:
    """For how many seconds it has run without an end; 0 where it does not run, an hour where its start is not told."""
    if state.status not in ("running", "paused"):
        return 0.0
    return min(_started_for(state), 1e9) if state.started_at else 3600.0


def ended_for(state: HostState) -> float:
    """For how many seconds it has not run."""
    return max(0.0, (now() - state.finished_at).total_seconds()) if state.finished_at else 0.0


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system: what it holds and what an ordinary user may still write, in bytes; how many files it has room for
    (`inodes`) and how many more may be made, 0 where it counts none or that is not told."""

    size: float
    free: float
    inodes: float = 0.0
    inodes_free: float = 0.0

    @property
    def used_ratio(self) -> float:
        """From 0 to 1; what is reserved for root counts as used."""
        return 1.0 - self.free / self.size if self.size else 0.0


async def on_its_files(host: Host, command: Sequence[str], *, timeout: float) -> ExecResult:
    """Run a command that sees the host's files: in it, or beside a container that has ended. Raises
    WatchkeeperError."""
    if isinstance(host, ContainerHost) and (await host.state()).status in ENDED:
        return await exec_beside(host, command, timeout=timeout)
    return await host.exec(command, timeout=timeout)


async def disk_of(host: Host, folder: str) -> Disk | None:
    """The file system that a folder of the host is on; None where it cannot be told. A container of this machine is
    looked into without starting a process in it. Raises WatchkeeperError."""
    if isinstance(host, ContainerHost):
        state = await host.state()
        found = await asyncio.to_thread(disk_here, state.pid, host.incarnation, folder)
        if found:
            return Disk(*found)
    told = await on_its_files(host, ["df", "-B1", "--output=size,avail,itotal,iavail", folder], timeout=10.0)
    words = [word.replace("-", "0") for word in told.stdout.split()[-4:]]  # a dash where inodes are not counted
    return Disk(*map(float, words)) if len(words) == 4 and all(word.isdigit() for word in words) else None


def has_a_host(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A precondition: what it runs on can be handled, and nobody stopped it."""
    if reading.metrics.get("host_known", 0.0) < 1.0:
        return _NO_HANDS
    if reading.metrics.get("host_stopped_on_purpose", 0.0) > 0:
        return "It was stopped on purpose."
    if reading.metrics.get("host_starting", 0.0) > 0:
        return (
            f"It was started less than {START_SECONDS:.0f} s ago and has not answered yet: it may be making its files, "
            "and is waited for."
        )
    return None


async def start_count(host: Host | None) -> dict[str, Any]:
    """What a restart changes, and nothing else does. Raises Refused without a host, WatchkeeperError where it does not
    answer."""
    if host is None:
        raise Refused(_NO_HANDS)
    state = await host.state()
    if state.status == "unreachable":
        raise WatchkeeperError("The host cannot be asked how often it was started.")
    return {"start_count": state.start_count}
