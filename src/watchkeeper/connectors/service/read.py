"""One look at a service, and its probe."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from watchkeeper.connectors import hosting
from watchkeeper.connectors.service.policy import healers
from watchkeeper.domain import HostState, Probe, Reading, Resource, WatchkeeperError, now
from watchkeeper.domain.healer import Healer
from watchkeeper.domain.rights import machine
from watchkeeper.hosts import ServiceHost

LOOP_WINDOW = timedelta(minutes=5)
"""Within how long ends count as a crash loop."""
LONG_AGO = timedelta(minutes=10)
"""A service that had been stopped for longer than this when it was first seen is left alone."""
_LIMITS_EVERY = 15.0
(JOURNAL,) = machine("the group systemd-journal", gives="the log of a unit")
LOOK = (
    JOURNAL,
    *machine("root", gives="the ports, variables and open files of others' processes, and why a plain one ended"),
)
"""What looking must be allowed: any user sees which units and processes there are."""


@dataclass
class ServiceSession:
    """What tools and looks work on."""

    resource: Resource
    host: ServiceHost
    limit_bytes: int | None = None
    limit_due: float = 0.0
    healers: tuple[Healer, ...] = ()
    """Who else brings it back, as the last look found it."""


async def look(session: ServiceSession, last: Reading | None) -> Reading:
    """The state now, and what it uses; rates come from the counters in `last`."""
    begun, at, host = time.perf_counter(), now(), session.host
    state = await host.state()
    session.healers = healers(host, state)

    def reading(metrics: Mapping[str, float], facts: Mapping[str, str], said: str, error: str | None = None) -> Reading:
        return Reading(session.resource.id, at, time.perf_counter() - begun, metrics, facts, said, error)

    if state.status == "gone":
        return reading({"running": 0.0}, {"status": "gone"}, "removed", "The service does not exist any more.")
    if state.status == "unreachable":
        said = host.machine.problem or f"{host.machine.shell.machine} cannot be asked."
        return reading({}, {"status": "unreachable"}, "unknown", said)
    metrics, facts = _of_state(state, last, at, known=host.recalled)
    metrics["crashes"], facts["ends"] = _ends(state, metrics, host.restarts, last, at)
    metrics["restarts_total"] = float(host.restarts)
    if not metrics["running"]:
        off = bool(metrics["stopped_on_purpose"] or metrics["stopped_before_watch"] or state.status == "created")
        said = hosting.ended(state, before_watch=metrics["stopped_before_watch"] == 1.0)
        return replace(reading(metrics, facts, said), off=off)
    try:
        metrics |= await _of_use(session, last, at, state)
    except (WatchkeeperError, TimeoutError) as problem:
        # It may have stopped between the two questions: the state alone is still a look.
        return reading(metrics, facts, state.status, f"Its use cannot be read: {problem}")
    return reading(metrics, facts, {"paused": "halted (SIGSTOP)"}.get(state.status, state.status))


def _of_state(
    state: HostState, last: Reading | None, at: datetime, *, known: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """`known`: it was watched before Watchkeeper itself was started anew."""
    stopped = state.status == "exited"
    old = stopped and not known and _before_watch(state, last, at)
    cause = state.stopped_by if stopped and not old else ""
    metrics = {
        "running": float(state.status in ("running", "paused", "restarting")),
        "paused": float(state.status == "paused"),
        "exited": float(stopped),
        "restarting": float(state.status == "restarting"),
        "stopped_on_purpose": float(cause == "on_purpose"),
        "stopped_unknown": float(cause == "unknown"),
        "stopped_before_watch": float(old),
        "failed": float(cause in ("killed", "oom") or (cause == "exited" and state.exit_code != 0)),
        "oom_killed": float(cause == "oom"),
        "start_count": float(state.start_count),
        "up_seconds": hosting.up_for(state),
    }
    if state.exit_code is not None:
        metrics["exit_code"] = float(state.exit_code)
    return metrics, {"status": state.status, "stopped_by": cause}


def _before_watch(state: HostState, last: Reading | None, at: datetime) -> bool:
    """Stopped when first seen, unexplained or long ago: nobody waits for it to come back."""
    if last is not None and "exited" in last.metrics:
        seen_stopped = last.metrics["exited"] and last.metrics.get("start_count") == state.start_count
        return bool(seen_stopped) and last.metrics.get("stopped_before_watch") == 1.0
    return last is None and (state.finished_at is None or at - state.finished_at > LONG_AGO)


def _ends(
    state: HostState, metrics: Mapping[str, float], restarts: int, last: Reading | None, at: datetime
) -> tuple[float, str]:
    """How often it ended by itself within the window, and the moments to carry to the next look."""
    since = (at - LOOP_WINDOW).timestamp()
    ends = [float(moment) for moment in (last.facts.get("ends", "") if last else "").split()]
    ends = [moment for moment in ends if moment >= since]
    if last is not None and "restarts_total" in last.metrics:
        again = max(0, restarts - int(last.metrics["restarts_total"]))  # systemd was quicker than our looks
        ended = bool(metrics["failed"]) and not last.metrics.get("failed")
        ends += [at.timestamp()] * (again + ended)
    return float(len(ends)), " ".join(f"{moment:.3f}" for moment in ends[-20:])


async def _of_use(session: ServiceSession, last: Reading | None, at: datetime, state: HostState) -> dict[str, float]:
    used = await session.host.usage()
    if time.monotonic() >= session.limit_due:
        session.limit_bytes = (await session.host.limits()).memory_bytes
        session.limit_due = time.monotonic() + _LIMITS_EVERY
    metrics = {
        "cpu_seconds_total": used.cpu_seconds,
        "memory_used_bytes": float(used.memory_used_bytes),
        "pids": float(used.pids),
    }
    if session.limit_bytes:
        metrics["memory_limit_bytes"] = float(session.limit_bytes)
        metrics["memory_ratio"] = used.memory_used_bytes / session.limit_bytes
    seconds = (at - last.at).total_seconds() if last else 0.0
    same = last is not None and last.metrics.get("start_count") == state.start_count
    if last and same and seconds > 0.05 and "cpu_seconds_total" in last.metrics:
        metrics["cpu_ratio"] = max(0.0, used.cpu_seconds - last.metrics["cpu_seconds_total"]) / seconds
    return metrics


async def try_out(session: ServiceSession) -> Probe:
    """It runs; `restarting` proves nothing yet."""
    begun, at = time.perf_counter(), now()
    state = await session.host.state()
    ok: bool | None = state.status == "running"
    error = None if ok else f"it is {state.status}"
    if state.status in ("unreachable", "restarting"):
        ok = None
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, "the service runs", error)


SAMPLE = Reading(
    resource="local/production/service/redis-6379",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=0.04,
    metrics={
        "running": 1.0,
        "paused": 0.0,
        "exited": 0.0,
        "restarting": 0.0,
        "stopped_on_purpose": 0.0,
        "stopped_unknown": 0.0,
        "stopped_before_watch": 0.0,
        "failed": 0.0,
        "oom_killed": 0.0,
        "start_count": 1767225600000.0,
        "up_seconds": 86400.0,
        "exit_code": 0.0,
        "crashes": 0.0,
        "restarts_total": 0.0,
        "cpu_seconds_total": 12.5,
        "cpu_ratio": 0.03,
        "memory_used_bytes": 40e6,
        "memory_limit_bytes": 256e6,
        "memory_ratio": 0.16,
        "pids": 1.0,
    },
    facts={"status": "running", "stopped_by": "", "ends": ""},
    state="running",
)
