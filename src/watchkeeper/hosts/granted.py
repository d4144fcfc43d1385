"""How much of its machine something may take: its limits, and what there is where it has none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchkeeper.domain import Limits

_MEMORY = Path("/proc/meminfo")


@dataclass(slots=True)
class Room:
    """What something without a limit of its own may count on: what it uses, and half of what its machine has left.

    It moves in steps of a quarter: what rests on it would otherwise be another figure with each look."""

    granted: int = 0

    def bytes(self, used: int, available: int) -> int:
        """`used`: by it now; `available`: as the kernel's MemAvailable; both in bytes."""
        free = used + available // 2
        if not 0.75 * self.granted <= free <= 1.25 * self.granted:
            self.granted = free
        return self.granted

    def beside(self, used: int) -> int | None:
        """The same on this machine; None where the kernel does not tell what is left (proc_meminfo(5))."""
        try:
            rows = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
            return self.bytes(used, int(rows["MemAvailable"].split()[0]) * 1024)
        except (OSError, ValueError, KeyError, IndexError):
            return None


def of_container(config: Mapping[str, Any]) -> Limits:
    """The engine's `HostConfig`; what is 0 there is no limit."""
    cpus = (config.get("NanoCpus") or 0) / 1e9
    if not cpus and config.get("CpuQuota"):
        cpus = config["CpuQuota"] / (config.get("CpuPeriod") or 100_000)
    pids = config.get("PidsLimit") or 0
    return Limits(config.get("Memory") or None, cpus or None, pids if pids > 0 else None)
