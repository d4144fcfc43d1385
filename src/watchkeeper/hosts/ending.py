"""How a unit is, and why it stopped: what systemd says of it; and whether the kernel just killed for lack of memory."""

import time
from collections import deque
from datetime import UTC, datetime

from watchkeeper.domain import HostState, StopCause
from watchkeeper.hosts.proc import Survey, Unit

_STATUS = {
    "active": "running",
    "reloading": "running",
    "activating": "restarting",
    "deactivating": "running",
    "failed": "exited",
    "inactive": "exited",
}
_CAUSES: dict[str, StopCause] = {
    # A unit that is inactive and content was stopped, or ended by itself in peace: nobody waits for it.
    "success": "on_purpose",
    "signal": "killed",
    "core-dump": "exited",
    "exit-code": "exited",
    "oom-kill": "oom",
    "start-limit-hit": "exited",
    "watchdog": "killed",
    "resources": "exited",
    "protocol": "exited",
}
_CRASHES = (4, 6, 7, 8, 11)
"""SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: a fault of its own."""
_KILL = 9
_DYING_SECONDS = 5.0
"""For so long it may be seen on a machine that is short of everything."""


class OomKills:
    """Whether the kernel's count of processes it killed for lack of memory rose as a process ended.

    One that is killed frees its memory before it is gone, and may be seen alive meanwhile: what counts is the count of
    some seconds before it was last seen.
    """

    def __init__(self) -> None:
        self.rose = False
        self._counts: deque[tuple[float, int]] = deque()

    def alive(self, count: int) -> None:
        """The process is there, and the count is this."""
        present, self.rose = time.monotonic(), False
        self._counts.append((present, count))
        while len(self._counts) > 1 and self._counts[1][0] < present - _DYING_SECONDS:
            self._counts.popleft()

    def ended(self, count: int) -> None:
        """The process is there no more, and the count is this."""
        self.rose = bool(self._counts) and count > self._counts[0][1]


def of_unit(unit: Unit, survey: Survey, *, oom: bool = False) -> HostState:
    """The state of a service from what `systemctl show` says of it. `oom`: the kernel killed something for lack of
    memory as it ended; with control groups of version 1 systemd is not told that it was this."""
    said = unit.said
    if said.get("LoadState") not in ("loaded", "masked"):
        return HostState("gone")
    status = _STATUS.get(said.get("ActiveState", ""), "exited")
    main = survey.processes.get(unit.main_pid)
    if status == "running" and main is not None and main.state in ("T", "t"):
        status = "paused"
    begun = unit.number("ExecMainStartTimestampMonotonic") or 0
    ended = unit.number("ExecMainExitTimestampMonotonic") or 0
    stopped = status == "exited"
    code, stopped_by = _end(unit)
    if oom and stopped_by == "killed" and code == 128 + _KILL and ":memory:" in survey.own_cgroup:
        stopped_by = "oom"
    return HostState(
        status="created" if stopped and not begun else status,
        pid=unit.main_pid,
        start_count=start_count(survey.boot, begun // 1000) if begun else 0,
        started_at=datetime.fromtimestamp(survey.booted_at + begun / 1e6, UTC) if begun else None,
        finished_at=datetime.fromtimestamp(survey.booted_at + ended / 1e6, UTC) if stopped and ended else None,
        exit_code=code if stopped else None,
        stopped_by=stopped_by if stopped else "",
    )


def start_count(boot: str, milliseconds: int) -> int:
    """Changes with every start, and only then, also where the clock is set: time from boot, and which boot it was."""
    return (int(boot[:4] or "0", 16) << 36) | milliseconds


def _end(unit: Unit) -> tuple[int | None, StopCause]:
    said = unit.said
    status = int(said.get("ExecMainStatus") or 0)
    by_signal = said.get("ExecMainCode") in ("2", "3")  # CLD_KILLED, CLD_DUMPED
    stopped_by = _CAUSES.get(said.get("Result", ""), "unknown")
    if by_signal and stopped_by == "killed" and status in _CRASHES:
        stopped_by = "exited"
    return (128 + status if by_signal else status), stopped_by
