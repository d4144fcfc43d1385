"""The processes of a server on this machine, and the connections they hold, as the kernel sees them.

A worker's own list of open files says which sockets are its own; `/proc/net/tcp` of its network namespace says what
they are. Nothing of it asks the server: this is what is left when all of its connections are taken.
"""

import os
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.hosts import sockets

_DEEPEST = 6
_MASTER, _WORKER = "nginx: master process", "nginx: worker process"
_LEAVING = "is shutting down"


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process; `started` in ticks since boot, which with the pid is unique until the next."""

    pid: int
    started: int
    leaving: bool
    """It serves what it has begun, and ends: another configuration was loaded."""


@dataclass(frozen=True, slots=True)
class Family:
    """A master and its workers; `master` is 0 where workers are left without one."""

    master: int
    workers: tuple[Worker, ...]

    @property
    def serving(self) -> tuple[Worker, ...]:
        return tuple(worker for worker in self.workers if not worker.leaving)

    @property
    def generation(self) -> str:
        """Changes with every start and every reload."""
        return ",".join(sorted(f"{worker.pid}@{worker.started}" for worker in self.serving))


@dataclass(frozen=True, slots=True)
class Held:
    """Connections by what they are."""

    clients: int
    upstreams: int
    fullest: int
    """Of the worker that has the most."""
    leaving: int
    """Of workers that are shutting down."""
    unaccepted: int
    """Opened by clients, and not yet taken by any worker."""
    top_client: str
    top_connections: int


def family(pid: int) -> Family | None:
    """The server among a process and all it started; None where there is none."""
    master, workers, todo = 0, list[Worker](), [(pid, 0)]
    while todo:
        one, depth = todo.pop()
        title = _title(one)
        if title.startswith(_MASTER):
            master = master or one
        elif title.startswith(_WORKER) and (started := started_at(one)):
            workers.append(Worker(one, started, _LEAVING in title))
        if depth < _DEEPEST:
            todo += [(child, depth + 1) for child in _children(one)]
    if not master and not workers:
        return None
    return Family(master, tuple(sorted(workers, key=lambda worker: worker.pid)))


def held(known: Family) -> Held | None:
    """Who holds how many connections; None where another user's files may not be looked at."""
    if not known.workers:
        return None
    try:
        rows = sockets.of_namespace(known.workers[0].pid)
        own = {worker: _inodes(worker.pid) for worker in known.workers}
    except OSError:
        return None
    ports = sockets.listening(row for row in rows if row.listens and any(row.inode in mine for mine in own.values()))
    open_ones = [row for row in rows if not row.listens and row.inode]
    of = {row.inode: worker for row in open_ones for worker, mine in own.items() if row.inode in mine}
    serving = [row for row in open_ones if row.inode in of and not of[row.inode].leaving]
    by_worker = Counter(of[row.inode].pid for row in serving)
    clients = [row for row in serving if row.local[1] in ports]
    top = Counter(row.remote[0] for row in clients).most_common(1)
    return Held(
        clients=len(clients),
        upstreams=len(serving) - len(clients),
        fullest=max(by_worker.values(), default=0),
        leaving=sum(row.inode in of and of[row.inode].leaving for row in open_ones),
        unaccepted=sum(row.established and not row.inode and row.local[1] in ports for row in rows),
        top_client=top[0][0] if top else "",
        top_connections=top[0][1] if top else 0,
    )


def started_at(pid: int) -> int:
    """In ticks since boot; 0 for one that is gone or has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[19]) if fields[0] not in ("Z", "X") else 0


def started_time(started: int) -> float:
    """The same as Unix time."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + started / os.sysconf("SC_CLK_TCK")


def files_limits(pid: int) -> tuple[int, int]:
    """How many files a process may have open, soft and hard. Raises OSError."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            soft, hard = line.split()[3:5]
            return _limit(soft), _limit(hard)
    raise OSError("no limit is told")


def _limit(text: str) -> int:
    return int(text) if text.isdigit() else 1 << 30


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _children(pid: int) -> Sequence[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return ()


def _inodes(pid: int) -> Collection[int]:
    """The sockets a process has open. Raises PermissionError."""
    found: set[int] = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except FileNotFoundError:
        pass
    return found
