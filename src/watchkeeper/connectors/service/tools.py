"""What can be done with a service. There is no tool that stops or halts one."""

from collections.abc import Mapping
from typing import Any

from watchkeeper.connectors.service.read import JOURNAL, ServiceSession
from watchkeeper.domain import Effect, Reading, Refused, Tool, WatchkeeperError, tool
from watchkeeper.domain.rights import units
from watchkeeper.hosts.rights import OTHERS


async def start_count(session: ServiceSession) -> dict[str, Any]:
    """What tells whether a start or a restart was done: it changes with every start."""
    state = await session.host.state()
    if state.status == "unreachable":
        raise WatchkeeperError("Its machine cannot be asked how often it was started.")
    return {"start_count": state.start_count, "status": state.status}


async def halted(session: ServiceSession) -> bool:
    """Whether its main process is halted."""
    return (await session.host.state()).status == "paused"


def must_be_stopped(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Starting is for what is stopped."""
    return "It is running already." if reading.metrics.get("running") else None


def must_be_halted(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Letting go on is for what is halted."""
    return None if reading.metrics.get("paused") else "It is not halted."


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=5.0,
    timeout=60.0,
    requires=(must_be_stopped,),
    rights=(*units("start"), *OTHERS),
    by_hand="{start}",
)
async def service_start(session: ServiceSession) -> dict[str, Any]:
    """Start a stopped service: a unit by systemd, a plain process as it was started before."""
    await session.host.start()
    return await start_count(session)


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=5.0,
    timeout=90.0,
    rights=(*units("restart"), *OTHERS),
    by_hand="{restart}",
)
async def service_restart(session: ServiceSession) -> dict[str, Any]:
    """Stop and start a service: ten seconds to end in order, then by force. What it kept only in memory is lost."""
    await session.host.restart()
    return await start_count(session)


@tool(
    Effect.REVERSIBLE,
    state=halted,
    settle=5.0,
    timeout=10.0,
    requires=(must_be_halted,),
    rights=OTHERS,
    by_hand="kill -CONT the main process of {host}",
)
async def service_continue(session: ServiceSession) -> None:
    """Let a service whose main process was halted (SIGSTOP) go on where it stood; nothing is lost."""
    if not await halted(session):
        raise Refused(f"{session.host.name} is not halted (any more).")
    await session.host.unpause()


@tool(Effect.READ, timeout=10.0, rights=(JOURNAL,), by_hand="systemctl status {host}")
async def service_status(session: ServiceSession) -> dict[str, Any]:
    """How a service is: state, since when, how it ended, ports, what it uses, where it logs to."""
    host = session.host
    state = await host.state()
    told: dict[str, Any] = {
        "status": state.status,
        "pid": state.pid,
        "started_at": state.started_at.isoformat() if state.started_at else None,
        "stopped_by": state.stopped_by,
        "exit_code": state.exit_code,
        "unit": host.unit or None,
        "ports": sorted(host.ports),
        "log": host.log_file or ("journal" if host.unit else "none that can be followed"),
    }
    if state.pid:
        used = await host.usage()
        limits = await host.limits()
        told |= {
            "cpu_seconds": used.cpu_seconds,
            "memory_used_bytes": used.memory_used_bytes,
            "memory_limit_bytes": limits.memory_bytes or 0,
            "pids": used.pids,
        }
    return told


TOOLS: tuple[Tool[ServiceSession], ...] = (
    service_start,
    service_continue,
    service_restart,
    service_status,
)
