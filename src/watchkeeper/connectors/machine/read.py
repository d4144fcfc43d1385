"""One look at a machine, and its probe."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from watchkeeper.connectors.machine import figures
from watchkeeper.connectors.machine.clock import compared, own_clock
from watchkeeper.connectors.machine.history import History
from watchkeeper.connectors.machine.vitals import Vitals, parse
from watchkeeper.domain import ConfigurationError, Probe, Reading, Resource, WatchkeeperError, now
from watchkeeper.hosts import MachineHost

GATHERED_EVERY = 4.0
"""Seconds for which what was gathered serves: nothing here is judged by the second, and looking costs a process."""
_SELDOM = 60.0
_TOLD = 3


@dataclass
class MachineSession:
    """What tools and looks work on."""

    resource: Resource
    host: MachineHost
    history: History = field(default_factory=History)
    mounts: tuple[str, ...] = ()
    """Mount points to look at whatever they are."""
    seldom_due: float = 0.0
    gathered_at: float = float("-inf")
    told: Reading | None = None
    written: dict[str, bool] = field(default_factory=dict[str, bool])
    """By mount point: whether it was seen writable."""
    synchronised: bool = False
    """Whether its clock ever was, since it is watched."""
    failed_before: frozenset[str] | None = None
    """Units that had failed before it was watched: nobody waits for them."""
    failed: tuple[str, ...] = ()
    configured: str | None = None

    def __post_init__(self) -> None:
        said: Any = self.resource.settings.get("filesystems") or ()
        listed = cast("list[Any]", said if isinstance(said, list) else str(said).split(",") if said else [])
        mounts = [str(mount).strip() for mount in listed]
        if not all(mount.startswith("/") for mount in mounts):
            raise ConfigurationError(
                f"filesystems of {self.resource.slug} must be mount points.", "For example: filesystems: [/data, /srv]."
            )
        self.mounts = tuple(mounts)


async def look(session: MachineSession, last: Reading | None) -> Reading:
    """Memory, processors, filesystems, disks, network and hardware now. Rates are of the last minute, so they are
    absent at first; `oom_kills` and errors are those of the last ten minutes."""
    begun, at = time.perf_counter(), now()
    fresh = time.monotonic() - session.gathered_at
    if session.told is not None and fresh < GATHERED_EVERY:
        return _again(session.told, at, fresh)
    seldom = time.monotonic() >= session.seldom_due
    asked = time.time()
    try:
        vitals = parse(await session.host.vitals(session.mounts, seldom=seldom))
    except WatchkeeperError as problem:
        return Reading(session.resource.id, at, time.perf_counter() - begun, state="unknown", error=str(problem))
    if seldom:
        session.seldom_due = time.monotonic() + _SELDOM
    reading = _reading(session, vitals, at, begun, (asked, time.time()))
    session.told, session.gathered_at = reading, time.monotonic()
    return reading


def _again(told: Reading, at: datetime, age: float) -> Reading:
    return Reading(told.resource, at, 0.0, told.metrics, told.facts, told.state, told.error, age=age)


def _reading(
    session: MachineSession, vitals: Vitals, at: datetime, begun: float, asked: tuple[float, float]
) -> Reading:
    history = session.history
    ours = [one for one in vitals.filesystems if one.is_ours]
    available = {one.mount: one.available for one in ours if one.answers and not one.read_only}
    history.add(time.monotonic(), figures.counters_of(vitals), available)
    locked = figures.read_only(ours, session.written, vitals.files.get("/etc/fstab", ()))
    session.written |= {one.mount: True for one in ours if one.answers and not one.read_only}
    metrics = figures.memory(vitals, history) | figures.pressure(vitals) | figures.processors(vitals, history)
    facts: dict[str, str] = {}
    parts = (figures.disks, figures.network, figures.hardware)
    for found, told in (figures.filesystems(ours, history, locked), *(part(vitals, history) for part in parts)):
        metrics |= found
        facts |= told
    metrics |= _clock(session, vitals, asked) | _units(session, vitals)
    facts["failed_units"] = ", ".join(session.failed[:_TOLD])
    facts["kernel"] = vitals.line("/proc/sys/kernel/osrelease")
    facts["most_memory"] = _most_memory(session)
    configuration = {"kernel": facts["kernel"]} if facts["kernel"] and facts["kernel"] != session.configured else None
    session.configured = facts["kernel"] or session.configured
    took = time.perf_counter() - begun
    said = _said(metrics, facts)
    error = None if "memory_available_bytes" in metrics else "Its /proc/meminfo could not be read."
    return Reading(session.resource.id, at, took, metrics, facts, said, error, configuration=configuration)


def _clock(session: MachineSession, vitals: Vitals, asked: tuple[float, float]) -> dict[str, float]:
    if session.host.provider != "local":
        return {"clock_offset_seconds": compared(vitals.at, *asked)} if vitals.at else {}
    found = own_clock()
    synchronised = found.get("clock_synchronised", 0.0) > 0
    session.synchronised |= synchronised
    return found | {"clock_lost": float(session.synchronised and not synchronised)}


def _units(session: MachineSession, vitals: Vitals) -> dict[str, float]:
    if vitals.failed_units is not None:
        there = frozenset(vitals.failed_units)
        if session.failed_before is None:
            session.failed_before = there
        session.failed_before &= there  # one that was mended and fails again is news
        session.failed = tuple(sorted(there - session.failed_before))
    if session.failed_before is None:
        return {}
    return {"units_failed": float(len(session.failed)), "units_failed_before": float(len(session.failed_before))}


def _most_memory(session: MachineSession) -> str:
    """The programs that hold most memory, from the last survey of services; empty where none was made."""
    survey = session.host.machine.survey
    if survey is None:
        return ""
    sums: dict[str, int] = {}
    for process in survey.processes.values():
        sums[process.comm] = sums.get(process.comm, 0) + process.rss * survey.page
    most = sorted(sums.items(), key=lambda one: -one[1])[:_TOLD]
    return ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in most)


def _said(metrics: Mapping[str, float], facts: Mapping[str, str]) -> str:
    """The worst in a few words."""
    if facts.get("read_only"):
        return f"{facts['read_only']} is read-only"
    if facts.get("broken"):
        return f"{facts['broken']} does not answer"
    if metrics.get("disk_headroom_ratio", 1.0) < 0.1:
        left = metrics["disk_available_bytes"]
        return f"{facts['fullest']} is {metrics['disk_used_ratio']:.0%} full, {left / 1e6:,.0f} MB left"
    if metrics.get("memory_headroom_ratio", 1.0) < 0.1:
        most = f"; most is held by {facts['most_memory']}" if facts["most_memory"] else ""
        return f"{metrics['memory_available_bytes'] / 1e6:,.0f} MB of memory available{most}"
    return "runs"


async def try_out(session: MachineSession) -> Probe:
    """It answers."""
    begun, at = time.perf_counter(), now()
    try:
        await session.host.vitals()
    except WatchkeeperError as problem:
        return Probe(session.resource.id, at, None, time.perf_counter() - begun, "the machine answers", str(problem))
    return Probe(session.resource.id, at, True, time.perf_counter() - begun, "the machine answers")
