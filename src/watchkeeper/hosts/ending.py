"""How a unit is, and why it stopped: what systemd says of it, and no more."""

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


def of_unit(unit: Unit, survey: Survey) -> HostState:
    """The state of a service from what `systemctl show` says of it."""
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
