"""What a survey of a machine says, as values: its processes, who listens where, its units."""

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from watchkeeper.hosts import sockets

_STAT = re.compile(rb"^(\d+) \((.*)\) (\S) (.*)$", re.DOTALL)
_LINE = re.compile(rb"^/proc/(self|\d+)/(\w+):(.*)$")
_SOCKET = re.compile(rb"^/proc/(\d+)/fd/\d+ socket:\[(\d+)\]$")
_CONTAINER = re.compile(r"(?:docker|containerd|crio|libpod|lxc|kubepods\S*)[-/:]\S*?([0-9a-f]{12,64}|[^/\s]+)")
_ARGV = re.compile(r"argv\[\]=(.*?) ; ignore_errors=")
_UNIT = re.compile(r"/([^/]+\.service)(?=/|$)")
_LENDERS = re.compile(r"^(ssh|sshd|ssh@.*|sshd@.*|cron|crond|atd|docker|containerd|supervisor|user@.*)\.service$")
"""Units in whose control group others' processes live: only their main process is theirs."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process. Times in ticks of the machine's clock, sizes in pages."""

    pid: int
    ppid: int
    comm: str
    state: str
    start: int
    """Ticks from boot to its start: with the pid, unique until the next boot."""
    cpu: int
    rss: int
    uid: int = -1
    argv: tuple[str, ...] = ()
    cgroup: str = ""
    depth: int = 1
    """In how many process id namespaces it is: more than ours is a container."""

    @property
    def alive(self) -> bool:
        return self.state not in ("Z", "X")

    @property
    def program(self) -> str:
        """Its name: `redis-server`, whatever path or title it runs under."""
        first = (self.argv[0] if self.argv else self.comm).split()
        return posixpath.basename(first[0].rstrip(":")) if first else self.comm

    @property
    def titled(self) -> bool:
        """Whether it wrote a title over its command line, so that nobody can read what it was started with."""
        return len(self.argv) == 1 and " " in self.argv[0]

    @property
    def command(self) -> str:
        return " ".join(self.argv)

    def seen_again(self, fresh: "Process") -> "Process":
        """The same process seen anew. A quick survey leaves out what does not change; a process that is ending has lost
        its command line before it is gone."""
        if not fresh.cgroup:
            return replace(fresh, uid=self.uid, argv=self.argv, cgroup=self.cgroup, depth=self.depth)
        return fresh if fresh.argv else replace(fresh, argv=self.argv)


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd says of a service."""

    said: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.said.get("Id", "")

    @property
    def main_pid(self) -> int:
        return int(self.said.get("MainPID") or 0)

    @property
    def command(self) -> str:
        """What it is started with, without quotes; empty where it has none."""
        found = _ARGV.search(self.said.get("ExecStart", ""))
        return found[1] if found else ""

    def number(self, name: str) -> int | None:
        """A figure; None where it is not kept or without limit."""
        text = self.said.get(name, "")
        return int(text) if text.isdigit() and int(text) < 1 << 62 else None


@dataclass(slots=True)
class Survey:
    """One machine at one moment."""

    full: bool
    boot: str = ""
    pid_namespace: str = ""
    """Whose processes are seen; told by a full survey."""
    booted_at: float = 0.0
    """Seconds since 1970."""
    hertz: int = 100
    page: int = 4096
    uid: int = -1
    memory_bytes: int = 0
    available_bytes: int = 0
    oom_kills: int = 0
    processes: dict[int, Process] = field(default_factory=dict[int, Process])
    ports: dict[int, dict[int, set[str]]] = field(default_factory=dict[int, dict[int, set[str]]])
    """Process → TCP ports it listens on → the addresses."""
    unheard: set[int] = field(default_factory=set[int])
    """Ports somebody listens on, and nobody may tell who: another user's processes, without root."""
    units: dict[str, Unit] = field(default_factory=dict[str, Unit])
    systemd: bool = False
    own_cgroup: str = ""
    own_depth: int = 1

    def tree(self, pid: int) -> list[Process]:
        """A process and everything it started, itself first."""
        children: defaultdict[int, list[Process]] = defaultdict(list)
        for process in self.processes.values():
            children[process.ppid].append(process)
        found, rest = list[Process](), [self.processes[pid]] if pid in self.processes else []
        while rest:
            process = rest.pop()
            found.append(process)
            rest += children[process.pid]
        return found

    def contained(self, process: Process) -> bool:
        """Whether it is in a container that we are not in: handled through its engine, not from outside."""
        return process.depth != self.own_depth or _container(process.cgroup) != _container(self.own_cgroup)

    def unit_of(self, process: Process) -> Unit | None:
        """The unit it belongs to; None for one that merely runs in another's control group, as after an SSH login."""
        for name in reversed(_UNIT.findall(process.cgroup)):
            unit = self.units.get(name)
            if unit and (unit.main_pid == process.pid or not _LENDERS.match(name)):
                return unit
            break
        return None


def _container(cgroup: str) -> str:
    return found[1] if (found := _CONTAINER.search(cgroup)) else ""


def parse(out: bytes, *, full: bool) -> Survey:
    """What `survey.sh` wrote."""
    survey = Survey(full)
    text, _, commands = out.partition(b"\ncommands\n")
    text, _, systemd = text.partition(b"\nsystemd\n")
    survey.systemd = bool(systemd)
    stats: defaultdict[int, list[bytes]] = defaultdict(list)
    facts: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    listening: dict[int, tuple[int, str]] = {}
    holders: defaultdict[int, set[int]] = defaultdict(set)
    for line in text.split(b"\n"):
        if found := _LINE.match(line):
            if found[2] == b"stat" and found[1] != b"self":
                stats[int(found[1])].append(found[3])
            else:
                facts[found[2].decode()][found[1].decode()].append(found[3].decode(errors="replace"))
        elif found := _SOCKET.match(line):
            holders[int(found[2])].add(int(found[1]))
        elif line.startswith(b"/proc/net/tcp"):
            for socket in sockets.parse(line.split(b":", 1)[1].decode(errors="replace")):
                listening[socket.inode] = (socket.local[1], socket.local[0])
        else:
            _machine(survey, line.decode(errors="replace"))
    for process in _processes(stats, facts, _arguments(commands)):
        survey.processes[process.pid] = process
    own = facts["status"].get("self", [])
    survey.own_depth = _depth(own)
    survey.own_cgroup = "\n".join(facts["cgroup"].get("self", []))
    survey.units = {unit.name: unit for unit in _units(systemd.decode(errors="replace"))}
    _heard(survey, listening, holders)
    return survey


def _machine(survey: Survey, line: str) -> None:
    name, _, rest = line.partition(" ")
    if name == "boot":
        survey.boot = rest.strip()
    elif name == "namespace":
        survey.pid_namespace = rest.strip()
    elif name == "/proc/stat:btime":
        survey.booted_at = float(rest)
    elif name == "units":
        survey.hertz, survey.page, survey.uid = (int(word) for word in rest.split())
    elif name == "/proc/meminfo:MemTotal:":
        survey.memory_bytes = int(rest.split()[0]) * 1024
    elif name == "/proc/meminfo:MemAvailable:":
        survey.available_bytes = int(rest.split()[0]) * 1024
    elif name == "/proc/vmstat:oom_kill":
        survey.oom_kills = int(rest)


def _processes(
    stats: Mapping[int, list[bytes]],
    facts: Mapping[str, Mapping[str, list[str]]],
    arguments: Mapping[int, tuple[str, ...]],
) -> Iterator[Process]:
    for pid, lines in stats.items():
        found = _STAT.match(b"\n".join(lines))
        if not found:
            continue
        rest = found[4].split()  # from field 4 on: proc(5)
        status = facts["status"].get(str(pid), [])
        uids = next((line.split()[1:] for line in status if line.startswith("Uid:")), list[str]())
        yield Process(
            pid=pid,
            ppid=int(rest[0]),
            comm=found[2].decode(errors="replace"),
            state=found[3].decode(),
            start=int(rest[18]),
            cpu=int(rest[10]) + int(rest[11]),
            rss=int(rest[20]),
            uid=int(uids[0]) if uids else -1,
            argv=arguments.get(pid, ()),
            cgroup="\n".join(facts["cgroup"].get(str(pid), [])),
            depth=_depth(status),
        )


def _depth(status: Iterable[str]) -> int:
    return next((len(line.split()) - 1 for line in status if line.startswith("NSpid:")), 1)


def _arguments(commands: bytes) -> dict[int, tuple[str, ...]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for record in commands.split(b"\0"):
        if match := re.match(rb"^/proc/(\d+)/cmdline:(.*)$", record, re.DOTALL):
            found[int(match[1])].append(os.fsdecode(match[2]))
    # What a title leaves of the command line it was written over is filled with NULs.
    return {pid: tuple(_stripped(words)) for pid, words in found.items()}


def _stripped(words: list[str]) -> list[str]:
    filled = len(words) - next((n for n, word in enumerate(reversed(words)) if word), len(words))
    return words[:1] if filled == 1 else words


def _units(text: str) -> Iterator[Unit]:
    for block in text.split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if said.get("Id"):
            yield Unit(said)


def _heard(survey: Survey, listening: Mapping[int, tuple[int, str]], holders: Mapping[int, set[int]]) -> None:
    """Who listens where: of the processes that share a socket, the one that the others come from."""
    for inode, (port, address) in listening.items():
        pids = {pid for pid in holders.get(inode, ()) if pid in survey.processes}
        if not pids:
            survey.unheard.add(port)
        for pid in pids:
            if survey.processes[pid].ppid not in pids:
                survey.ports.setdefault(pid, {}).setdefault(port, set()).add(address)
