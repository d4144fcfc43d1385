"""One look at a container, and its probe."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from watchkeeper.connectors import hosting, network
from watchkeeper.connectors.docker import health
from watchkeeper.connectors.docker.configuration import configuration
from watchkeeper.connectors.docker.files import SHOWN, Files, held
from watchkeeper.connectors.docker.policy import healers, serves
from watchkeeper.domain import HostState, Limits, Probe, Reading, Resource, WatchkeeperError, now
from watchkeeper.domain.healer import Healer
from watchkeeper.hosts import ContainerHost, ContainerStats

LOOP_WINDOW = timedelta(minutes=5)
"""Within how long starts count as a crash loop."""
LOOP = 3
"""Ends within it that make one."""
PATIENCE = timedelta(seconds=1)
"""The engine waits so long before it starts what has ended several times in a row within 10 s of its start: 0.1 s at
first, twice as long each time (docs.docker.com, "Start containers automatically")."""
LONG_AGO = timedelta(minutes=10)
"""A container that had been stopped for longer than this when it was first seen is left alone."""


@dataclass
class ContainerSession:
    """What tools and looks work on."""

    resource: Resource
    host: ContainerHost
    configured: Mapping[str, str] | None = None
    """What it was configured with when that was last told."""
    files: Files = field(init=False)
    eyes: network.Eyes = field(init=False)
    looped: datetime | None = None
    """When the engine was last seen to wait before it starts it once more."""
    healers: tuple[Healer, ...] = ()
    """Who else brings it back, as the last look found it."""

    def __post_init__(self) -> None:
        self.files = Files(self.host, self.resource.may_act)
        self.eyes = network.Eyes(self.resource.slug.removesuffix("-container"), self.host)


async def look(session: ContainerSession, last: Reading | None) -> Reading:
    """The state now, and what it uses; rates come from the counters in `last`."""
    begun, at, host = time.perf_counter(), now(), session.host
    state = await host.state()

    configured: Mapping[str, str] | None = None

    def reading(metrics: Mapping[str, float], facts: Mapping[str, str], said: str, error: str | None = None) -> Reading:
        took = time.perf_counter() - begun
        return Reading(session.resource.id, at, took, metrics, facts, said, error, configuration=configured)

    if state.status == "gone":
        return reading({"running": 0.0}, {"status": "gone"}, "removed", "The container does not exist any more.")
    if state.status == "unreachable":
        return reading({}, {"status": "unreachable"}, "unknown", "The Docker engine does not answer.")
    metrics, facts = _of_state(state, last, at)
    with suppress(WatchkeeperError, TimeoutError):
        shown = await host.inspect(fresh=False)
        session.healers = healers(shown, state, host.story)
        metrics["serves"] = float(serves(shown))
    await _files(session, state, metrics, facts)
    configured = await _configured(session)
    metrics["restarts"], facts["starts"] = _starts(state, last, at)
    metrics["crashes"] = float(_crashes(session, state, at))
    if not metrics["running"]:
        off = bool(metrics["stopped_on_purpose"] or metrics["stopped_before_watch"] or state.status == "created")
        said = hosting.ended(state, before_watch=metrics["stopped_before_watch"] == 1.0)
        return replace(reading(metrics, facts, said), off=off)
    try:
        metrics |= _of_use(await host.stats(), await host.limits(), last, at, state)
    except (WatchkeeperError, TimeoutError) as problem:
        # It may have stopped between the two questions: the state alone is still a look.
        return reading(metrics, facts, state.status, f"Its use cannot be read: {problem}")
    if state.status == "running":
        seen, told = await session.eyes.look()
        metrics, facts = metrics | seen, facts | told
    return reading(metrics, facts, _going(state))


async def _files(session: ContainerSession, state: HostState, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Whether its configuration files are as they were when it last ran well; without the right to look, they are."""
    files = session.files
    with suppress(WatchkeeperError, TimeoutError, OSError):
        shown = await session.host.inspect(fresh=False)
        await files.look(state, shown, well=state.status == "running" and not metrics["health_failing"])
    changed = files.changed
    metrics["config_changed"] = float(bool(changed))
    crashed_from = state.started_at if metrics["crashed"] else session.host.story.crashed_from(now() - LOOP_WINDOW)
    metrics["config_crashed"] = float(files.read_by(crashed_from))
    facts["config_file"] = changed[0] if changed else ""
    facts["config_good"] = files.good[changed[0]][:SHOWN] if changed else ""
    facts["config_held"] = ""
    if changed:
        with suppress(WatchkeeperError, TimeoutError):
            facts["config_held"] = held(await session.host.inspect(fresh=False), changed[0], session.host.name)


async def _configured(session: ContainerSession) -> Mapping[str, str] | None:
    """What it is configured with, where it is the first look or something is another than told before."""
    try:
        found = configuration(await session.host.inspect(fresh=False)) | session.files.told
    except (WatchkeeperError, TimeoutError):
        return None
    if found == session.configured:
        return None
    session.configured = found
    return found


def _of_state(state: HostState, last: Reading | None, at: datetime) -> tuple[dict[str, float], dict[str, str]]:
    stopped = state.status in ("exited", "dead")
    old = stopped and _before_watch(state, last, at)
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
        "crashed": float(cause == "exited" and state.exit_code != 0),
        "oom_killed": float(cause == "oom"),
        "health_failing": float(state.health == "unhealthy"),
        "start_count": float(state.start_count),
        "up_seconds": hosting.up_for(state),
    }
    if state.exit_code is not None:
        metrics["exit_code"] = float(state.exit_code)
    if stopped and state.finished_at is not None:
        metrics["ended_seconds"] = hosting.ended_for(state)
    return metrics, {"status": state.status, "stopped_by": cause, "health": state.health}


def _before_watch(state: HostState, last: Reading | None, at: datetime) -> bool:
    """Stopped when first seen, with exit code 0 or unexplained long ago: nobody waits for it to come back."""
    if last is not None and "exited" in last.metrics:
        seen_stopped = last.metrics["exited"] and last.metrics.get("start_count") == state.start_count
        return bool(seen_stopped) and last.metrics.get("stopped_before_watch") == 1.0
    long_ago = state.finished_at is not None and at - state.finished_at > LONG_AGO
    if state.stopped_by == "unknown":
        return long_ago or state.exit_code == 0
    return state.stopped_by == "exited" and state.exit_code == 0


def _starts(state: HostState, last: Reading | None, at: datetime) -> tuple[float, str]:
    """How often it was started again within the window, and the starts to carry to the next look."""
    known = [int(s) for s in (last.facts.get("starts", "") if last else "").split() if s.isdigit()]
    if state.start_count and state.start_count not in known:
        known.append(state.start_count)
    since = (at - LOOP_WINDOW).timestamp() * 1000
    recent = [start for start in known if start >= since]
    return float(max(0, len(recent) - 1)), " ".join(map(str, recent[-20:]))


def _crashes(session: ContainerSession, state: HostState, at: datetime) -> int:
    """How often it ended by itself lately: as the events tell, and as the engine's own patience does, for it may have
    gone on before anybody watched."""
    counted, story = session.host.story.crashes_since(at - LOOP_WINDOW), session.host.story
    if state.status == "restarting" and state.finished_at and at - state.finished_at > PATIENCE:
        session.looped = at
    if session.looped and (at - session.looped > LOOP_WINDOW or story.restarted_since(session.looped)):
        session.looped = None
    return max(counted, LOOP) if session.looped else counted


def _of_use(
    stats: ContainerStats, limits: Limits, last: Reading | None, at: datetime, state: HostState
) -> dict[str, float]:
    metrics = {
        "cpu_seconds_total": stats.cpu_seconds,
        "memory_used_bytes": float(stats.memory_used_bytes),
        "network_received_bytes_total": float(stats.network_received_bytes),
        "network_sent_bytes_total": float(stats.network_sent_bytes),
        "disk_read_bytes_total": float(stats.disk_read_bytes),
        "disk_written_bytes_total": float(stats.disk_written_bytes),
        "pids": float(stats.pids),
        "cpu_periods_total": float(stats.cpu_periods),
        "cpu_throttled_periods_total": float(stats.cpu_throttled_periods),
    }
    if stats.oom_kills is not None:
        metrics["oom_kills"] = float(stats.oom_kills)
    if limits.memory_bytes:
        metrics["memory_limit_bytes"] = float(limits.memory_bytes)
        metrics["memory_ratio"] = stats.memory_used_bytes / limits.memory_bytes
    if last is None or last.metrics.get("start_count") != state.start_count:
        return metrics
    seconds = (at - last.at).total_seconds()
    for total, rate in _RATES.items():
        if total in last.metrics and seconds > 0.05:
            metrics[rate] = max(0.0, metrics[total] - last.metrics[total]) / seconds
    if "cpu_periods_total" in last.metrics:
        periods = metrics["cpu_periods_total"] - last.metrics["cpu_periods_total"]
        throttled = metrics["cpu_throttled_periods_total"] - last.metrics["cpu_throttled_periods_total"]
        metrics["cpu_throttled_ratio"] = throttled / periods if periods > 0 else 0.0
    if "cpu_ratio" in metrics:
        metrics["cpu_ratio"] /= limits.cpus or 1.0  # of its limit, or of one core
    return metrics


_RATES = {
    "cpu_seconds_total": "cpu_ratio",
    "network_received_bytes_total": "network_received_bytes_per_second",
    "network_sent_bytes_total": "network_sent_bytes_per_second",
    "disk_read_bytes_total": "disk_read_bytes_per_second",
    "disk_written_bytes_total": "disk_written_bytes_per_second",
}


def _code(state: HostState) -> str:
    return "" if state.exit_code is None else f" (exit code {state.exit_code})"


def _going(state: HostState) -> str:
    if state.status == "restarting":
        return f"restarting: it ended by itself{_code(state)}"
    return "paused" if state.status == "paused" else state.health or "running"


async def try_out(session: ContainerSession) -> Probe:
    """It runs, and its own health check passes where it has one. Until the engine has come to it for the first time
    (half a minute by default) it is asked here, where changes are permitted; `starting` alone proves nothing."""
    begun, at = time.perf_counter(), now()
    state = await session.host.state()
    ok: bool | None = state.status == "running"
    error = None if ok else f"it is {state.status}"
    what = "the container runs"
    if state.status == "unreachable":
        ok, error = None, "the engine does not answer"
    elif ok and state.health:
        what = "the container runs and its health check passes"
        ok = {"healthy": True, "unhealthy": False}.get(state.health)
        if ok is None and session.resource.may_act and await health.passes(session.host):
            ok = True
        error = None if ok else f"its health check says {state.health}"
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)


SAMPLE = Reading(
    resource="docker/lab/container/cache",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=0.002,
    metrics={
        "running": 1.0,
        "paused": 0.0,
        "exited": 0.0,
        "restarting": 0.0,
        "stopped_on_purpose": 0.0,
        "stopped_unknown": 0.0,
        "stopped_before_watch": 0.0,
        "failed": 0.0,
        "serves": 1.0,
        "crashed": 0.0,
        "config_changed": 0.0,
        "config_crashed": 0.0,
        "oom_killed": 0.0,
        "health_failing": 0.0,
        "start_count": 1767225600000.0,
        "up_seconds": 86400.0,
        "exit_code": 0.0,
        "ended_seconds": 0.0,
        "restarts": 0.0,
        "crashes": 0.0,
        "oom_kills": 0.0,
        "cpu_seconds_total": 12.5,
        "cpu_ratio": 0.03,
        "cpu_periods_total": 0.0,
        "cpu_throttled_periods_total": 0.0,
        "cpu_throttled_ratio": 0.0,
        "memory_used_bytes": 40e6,
        "memory_limit_bytes": 256e6,
        "memory_ratio": 0.16,
        "network_received_bytes_total": 1e6,
        "network_sent_bytes_total": 1e6,
        "network_received_bytes_per_second": 1e3,
        "network_sent_bytes_per_second": 1e3,
        "disk_read_bytes_total": 1e6,
        "disk_written_bytes_total": 1e6,
        "disk_read_bytes_per_second": 0.0,
        "disk_written_bytes_per_second": 0.0,
        "pids": 6.0,
        **network.METRICS,
    },
    facts={
        **network.FACTS,
        "status": "running",
        "stopped_by": "",
        "health": "",
        "starts": "1767225600000",
        "config_file": "/etc/shop/shop.toml",
        "config_good": "0123456789ab",
        "config_held": "",
    },
    state="running",
)
