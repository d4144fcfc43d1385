"""What can be done with a container. There is no tool that stops or pauses one."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors.docker.configuration import FLAG
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.connectors.docker.restore import docker_restore_config
from watchkeeper.connectors.docker.scale import docker_scale
from watchkeeper.domain import Effect, InBytes, Reading, Refused, Tool, tool
from watchkeeper.domain.rights import calls
from watchkeeper.domain.tool import Limit
from watchkeeper.hosts.answers import items, part
from watchkeeper.hosts.rights import INSPECT, LOGS, RESTART, START, STATS, UNPAUSE, UPDATE

_HEADROOM = 1.1
_HEALTH_CHECK = 30.0
"""Seconds until a container's own health check may be green again: the engine's default interval."""


async def start_count(session: ContainerSession) -> dict[str, Any]:
    """What tells whether a start or a restart was done: it changes with every start."""
    state = await session.host.state()
    return {"start_count": state.start_count, "status": state.status}


async def paused(session: ContainerSession) -> bool:
    """Whether its processes are frozen."""
    return (await session.host.state()).status == "paused"


async def memory_limit(session: ContainerSession) -> int:
    """Its memory limit in bytes; 0 is without limit."""
    return part(await session.host.inspect(), "HostConfig").get("Memory") or 0


def must_be_stopped(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Starting is for what is stopped."""
    return "It is running already." if reading.metrics.get("running") else None


def must_not_be_a_job(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What ended with a fault of its own and serves nobody is not run again unasked: it may have done half of it."""
    if reading.metrics.get("crashed", 0.0) < 1.0 or reading.metrics.get("serves", 1.0) > 0:
        return None
    code = reading.metrics.get("exit_code", 1.0)
    return (
        f"It ended by itself with exit code {code:.0f}, and nothing declares that it is a service (no port, no health "
        "check, no restart policy): it may be a job, which is not run again unasked."
    )


def must_be_paused(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Unpausing is for what is paused."""
    return None if reading.metrics.get("paused") else "It is not paused."


def must_hold_what_is_used(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A limit below what is used kills it at once."""
    used = reading.metrics.get("memory_used_bytes")
    wanted = arguments.get("memory_bytes", 0)
    if used is None:
        return "What it uses is not known, so no limit is known to be safe."
    if wanted < used * _HEADROOM:
        return f"It uses {used:.0f} bytes; a limit of {wanted} leaves less than a tenth on top."
    return None


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=_HEALTH_CHECK,
    timeout=35.0,
    requires=(must_be_stopped, must_not_be_a_job),
    rights=calls(INSPECT, *START),
    by_hand="docker start {host}",
)
async def docker_start(session: ContainerSession) -> None:
    """Start a stopped container, with the configuration and data it had."""
    await session.host.start()


@tool(
    Effect.DISRUPTIVE,
    state=paused,
    settle=_HEALTH_CHECK,
    timeout=10.0,
    requires=(must_be_paused,),
    rights=calls(INSPECT, *UNPAUSE),
    by_hand="docker unpause {host}",
)
async def docker_unpause(session: ContainerSession) -> None:
    """Let a paused container go on where it stood; it loses nothing. Whoever paused it is interrupted: a backup that
    copies its frozen files, for example."""
    if not await paused(session):
        raise Refused(f"{session.host.name} is not paused (any more).")
    await session.host.unpause()


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=_HEALTH_CHECK,
    timeout=60.0,
    rights=calls(INSPECT, *RESTART),
    by_hand="docker restart {host}",
)
async def docker_restart(session: ContainerSession) -> None:
    """Stop and start a container: it has ten seconds to end in order, or less where it declares that (`StopTimeout`),
    then it ends by force. What it kept only in memory is lost."""
    await session.host.restart()


@tool(
    Effect.REVERSIBLE,
    state=memory_limit,
    settle=1.0,
    timeout=15.0,
    requires=(must_hold_what_is_used,),
    rights=calls(INSPECT, STATS, *UPDATE),
    by_hand="docker update --memory {memory_bytes} {host}",
    limits=(Limit("memory_bytes", "memory_used_bytes", "memory_bytes"),),
)
async def docker_update_limits(
    session: ContainerSession, memory_bytes: Annotated[int, Ge(16 << 20), Le(1 << 42), InBytes()]
) -> dict[str, int]:
    """Set the memory limit of a container, in bytes, while it runs. Refuses what would be below what it uses."""
    used = (await session.host.stats()).memory_used_bytes
    if memory_bytes < used * _HEADROOM:
        raise Refused(f"{session.host.name} uses {used} bytes now; a limit of {memory_bytes} would not hold it.")
    before = await memory_limit(session)
    await session.host.update_limits(memory_bytes=memory_bytes)
    return {"before": before, "now": await memory_limit(session)}


@docker_update_limits.undo
async def restore_limits(session: ContainerSession, before: int) -> None:
    """The limit as it was, unless what is used meanwhile would not fit."""
    used = (await session.host.stats()).memory_used_bytes
    if before and before < used * _HEADROOM:
        raise Refused(f"{session.host.name} uses {used} bytes now; the former limit of {before} would not hold it.")
    await session.host.update_limits(memory_bytes=before)


@tool(Effect.READ, timeout=15.0, rights=calls(INSPECT, LOGS), by_hand="docker logs --tail {lines} {host}")
async def docker_logs(session: ContainerSession, lines: Annotated[int, Ge(1), Le(1000)] = 100) -> list[str]:
    """The last lines a container logged, with their times."""
    return [f"{at.isoformat()} {text}" for at, text in await session.host.tail(lines)]


@tool(Effect.READ, timeout=10.0, rights=calls(INSPECT, STATS), by_hand="docker stats --no-stream {host}")
async def docker_stats(session: ContainerSession) -> dict[str, float | str]:
    """What a container has used since its start: CPU seconds, memory without file cache, network, disk, processes."""
    stats = await session.host.stats()
    limits = await session.host.limits()
    return {
        "at": stats.at.isoformat(),
        "cpu_seconds": stats.cpu_seconds,
        "memory_used_bytes": stats.memory_used_bytes,
        "memory_limit_bytes": limits.memory_bytes or 0,
        "network_received_bytes": stats.network_received_bytes,
        "network_sent_bytes": stats.network_sent_bytes,
        "disk_read_bytes": stats.disk_read_bytes,
        "disk_written_bytes": stats.disk_written_bytes,
        "pids": stats.pids,
    }


@tool(Effect.READ, timeout=10.0, rights=calls(INSPECT), by_hand="docker inspect {host}")
async def docker_inspect(session: ContainerSession) -> dict[str, Any]:
    """How a container is configured and how it is. Values of its environment are masked."""
    shown = await session.host.inspect()
    config, host = part(shown, "Config"), part(shown, "HostConfig")
    command = " ".join([str(shown.get("Path") or ""), *items(shown, "Args")])
    return {
        "name": session.host.name,
        "id": session.host.incarnation,
        "image": config.get("Image"),
        "command": FLAG.sub(r"\1\2***", command),
        "environment": {name: mask(name, value) for name, value in (await session.host.environment()).items()},
        "labels": dict(session.host.labels),
        "state": {k: v for k, v in part(shown, "State").items() if k != "Health"},
        "health": part(shown, "State", "Health").get("Status"),
        "restart_policy": part(host, "RestartPolicy").get("Name"),
        "memory_limit_bytes": host.get("Memory") or 0,
        "networks": {n: part(shown, "NetworkSettings", "Networks", n).get("IPAddress") for n in _networks(shown)},
        "ports": part(shown, "NetworkSettings", "Ports"),
        "mounts": [f"{m.get('Source')}:{m.get('Destination')}" for m in items(shown, "Mounts")],
    }


def _networks(shown: Mapping[str, Any]) -> list[str]:
    return list(part(shown, "NetworkSettings", "Networks"))


def mask(name: str, value: str) -> str:
    """Every value is masked but those everybody knows: which is a secret cannot be told by its name."""
    return value if name in ("PATH", "LANG", "TZ", "HOME", "HOSTNAME") else "***"


TOOLS: tuple[Tool[ContainerSession], ...] = (
    docker_start,
    docker_unpause,
    docker_restart,
    docker_update_limits,
    docker_scale,
    docker_restore_config,
    docker_logs,
    docker_stats,
    docker_inspect,
)
