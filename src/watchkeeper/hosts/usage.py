"""What a container or a service has used; of a container from its control group where it is here, else from the engine.

The engine takes a second for its statistics even when asked for one sample (20.10); the files take 0.3 ms.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from watchkeeper.domain import now
from watchkeeper.hosts.answers import items, moment, part

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """What a container has used. Counters since its start; sizes in bytes."""

    at: datetime
    cpu_seconds: float
    memory_used_bytes: int
    """The working set: without file cache that can be dropped, as `docker stats` and Kubernetes count it."""
    network_received_bytes: int
    network_sent_bytes: int
    disk_read_bytes: int
    disk_written_bytes: int
    pids: int
    oom_kills: int | None = None
    """Processes in it that the kernel killed for memory since it was created; None where it cannot be told."""
    cpu_periods: int = 0
    """Periods of its processor limit (100 ms each) in which it ran; 0 without a limit."""
    cpu_throttled_periods: int = 0
    """Those at the end of which it had to wait, because its share was used up."""


@dataclass(frozen=True, slots=True)
class ServiceUsage:
    """What a service uses: its main process and all it started. Counters since its start; sizes in bytes."""

    at: datetime
    cpu_seconds: float
    memory_used_bytes: int
    """Resident in memory; what processes share counts for each."""
    pids: int


def from_cgroup(pid: int, incarnation: str) -> ContainerStats | None:
    """Read the control group of the process, if it is this container's: with a remote engine the pid is another's."""
    try:
        groups = _groups(Path(f"/proc/{pid}/cgroup").read_text())
        if pid <= 0 or not any(incarnation in path for path in groups.values()):
            return None
        received, sent = _network(Path(f"/proc/{pid}/net/dev").read_text())
        read = _version_1 if "memory" in groups else _version_2
        cpu, memory, disk, pids, ooms = read(groups)
        periods, throttled = _throttling(groups)
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return ContainerStats(now(), cpu, memory, received, sent, *disk, pids, ooms, periods, throttled)


def is_here(pid: int, incarnation: str) -> bool:
    """Whether that process of this machine is this container's: with a remote engine the pid is another's."""
    try:
        groups = _groups(Path(f"/proc/{pid}/cgroup").read_text()) if pid > 0 else {}
    except OSError:
        return False
    return any(incarnation in path for path in groups.values())


def disk_here(pid: int, incarnation: str, folder: str) -> tuple[float, float, float, float] | None:
    """Size and free bytes of the file system of a folder, how many files it has room for and how many more an ordinary
    user may make (0 and 0 where it counts none), seen through a process of this machine, if it is this
    container's and we may look."""
    if not is_here(pid, incarnation):
        return None
    try:
        found = os.statvfs(f"/proc/{pid}/root/{folder.lstrip('/')}")
    except OSError:
        return None
    size, free = float(found.f_blocks * found.f_frsize), float(found.f_bavail * found.f_frsize)
    return size, free, float(found.f_files), float(found.f_favail)


def group_processes(pid: int) -> list[int]:
    """The processes in the control group of this one: those of its container. Raises OSError."""
    groups = _groups(Path(f"/proc/{pid}/cgroup").read_text())
    controller = "pids" if "pids" in groups else ""
    listed = _CGROUPS / controller / groups[controller].lstrip("/") / "cgroup.procs"
    return [int(line) for line in listed.read_text().split()]


def from_engine(raw: Mapping[str, Any]) -> ContainerStats:
    """The engine's answer to `stats`."""
    memory, detail = part(raw, "memory_stats"), part(raw, "memory_stats", "stats")
    # cgroup v1 counts children in total_inactive_file; v2 has only the one figure.
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    networks = part(raw, "networks")
    throttling = part(raw, "cpu_stats", "throttling_data")
    disk: list[Mapping[str, Any]] = items(part(raw, "blkio_stats"), "io_service_bytes_recursive")
    return ContainerStats(
        at=moment(raw.get("read")) or now(),
        cpu_seconds=part(raw, "cpu_stats", "cpu_usage").get("total_usage", 0) / 1e9,
        memory_used_bytes=max(0, int(memory.get("usage", 0)) - int(cache)),
        network_received_bytes=sum(int(part(networks, name).get("rx_bytes", 0)) for name in networks),
        network_sent_bytes=sum(int(part(networks, name).get("tx_bytes", 0)) for name in networks),
        disk_read_bytes=sum(int(d["value"]) for d in disk if str(d.get("op", "")).lower() == "read"),
        disk_written_bytes=sum(int(d["value"]) for d in disk if str(d.get("op", "")).lower() == "write"),
        pids=int(part(raw, "pids_stats").get("current") or 0),
        cpu_periods=int(throttling.get("periods", 0)),
        cpu_throttled_periods=int(throttling.get("throttled_periods", 0)),
    )


def _groups(text: str) -> dict[str, str]:
    """Controller → path, from /proc/PID/cgroup; the unified hierarchy (version 2) under the empty name."""
    rows = (line.split(":", 2) for line in text.splitlines() if line)
    return {name: path for _, names, path in rows for name in names.split(",")}


def _pairs(text: str) -> dict[str, int]:
    """`name value` on each line."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2}


def _version_1(groups: Mapping[str, str]) -> tuple[float, int, tuple[int, int], int, int]:
    def group(controller: str) -> Path:
        return _CGROUPS / controller / groups[controller].lstrip("/")

    memory = group("memory")
    used = int((memory / "memory.usage_in_bytes").read_text())
    cache = _pairs((memory / "memory.stat").read_text()).get("total_inactive_file", 0)
    ooms = _pairs((memory / "memory.oom_control").read_text()).get("oom_kill", 0)
    read = written = 0
    for line in (group("blkio") / "blkio.throttle.io_service_bytes_recursive").read_text().splitlines():
        row = line.split()
        read += int(row[2]) if len(row) == 3 and row[1] == "Read" else 0
        written += int(row[2]) if len(row) == 3 and row[1] == "Write" else 0
    cpu = int((group("cpuacct") / "cpuacct.usage").read_text()) / 1e9
    pids = int((group("pids") / "pids.current").read_text())
    return cpu, max(0, used - cache), (read, written), pids, ooms


def _version_2(groups: Mapping[str, str]) -> tuple[float, int, tuple[int, int], int, int]:
    group = _CGROUPS / groups[""].lstrip("/")
    used = int((group / "memory.current").read_text())
    cache = _pairs((group / "memory.stat").read_text()).get("inactive_file", 0)
    ooms = _pairs((group / "memory.events").read_text()).get("oom_kill", 0)
    cpu = _pairs((group / "cpu.stat").read_text())["usage_usec"] / 1e6
    disk = (group / "io.stat").read_text().split() if (group / "io.stat").exists() else []
    read = sum(int(word[7:]) for word in disk if word.startswith("rbytes="))
    written = sum(int(word[7:]) for word in disk if word.startswith("wbytes="))
    return cpu, max(0, used - cache), (read, written), int((group / "pids.current").read_text()), ooms


def _throttling(groups: Mapping[str, str]) -> tuple[int, int]:
    """Periods of the processor limit, and those that it ended; zeros where none is told (no `cpu` controller)."""
    controller = "cpu" if "cpu" in groups else ""
    try:
        said = _pairs((_CGROUPS / controller / groups[controller].lstrip("/") / "cpu.stat").read_text())
    except (OSError, KeyError):
        return 0, 0
    return said.get("nr_periods", 0), said.get("nr_throttled", 0)


def _network(text: str) -> tuple[int, int]:
    """Bytes received and sent on all interfaces but the loopback, from /proc/PID/net/dev."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, figures = line.partition(":")
        if name.strip() != "lo":
            columns = figures.split()
            received, sent = received + int(columns[0]), sent + int(columns[8])
    return received, sent
