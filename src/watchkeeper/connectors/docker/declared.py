"""A container's limits, live and as its compose file declares them."""

from watchkeeper.connectors import compose
from watchkeeper.connectors.docker.configuration import configuration
from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.domain.change import mebibytes
from watchkeeper.domain.drift import Declared, size

_LIMITS = {
    "memory_bytes": ("mem_limit", "--memory", "memory"),
    "memory_and_swap_bytes": ("memswap_limit", "--memory-swap", ""),
    "cpus": ("cpus", "--cpus", "cpus"),
    "pids": ("pids_limit", "--pids-limit", "pids"),
}


async def declared(session: ContainerSession) -> list[Declared]:
    """Each limit. Raises WatchkeeperError where the engine does not answer."""
    shown = await session.host.inspect(fresh=False)
    live = configuration(shown)
    found, why = compose.of(session.host.labels)
    made: list[Declared] = []
    for key, (name, option, under_deploy) in _LIMITS.items():
        new = _written(key, live[key])
        if not found:
            by_compose = compose.made(session.host.labels)
            where = "its compose file" if by_compose else "the command that makes the container"
            line = f"{name}: {new}" if by_compose else f"{option} {new}"
            made.append(Declared(key, name, _said(key, live[key]), None, where, line, why_not=why))
            continue
        place, file = compose.first(found, name, new)
        if place.value is None and under_deploy:
            below, other = compose.first(found, under_deploy, new, "deploy", "resources", "limits")
            if below.value is not None:
                place, file = below, other
        if key == "memory_and_swap_bytes" and place.value is None:
            continue  # by default it follows the memory limit
        same = place.value is not None and _equal(key, place.value, live[key])
        value = live[key] if same else place.value
        told = None if place.value is None else _said(key, value or "")
        line = f"{name}: {new}"
        made.append(Declared(key, name, _said(key, live[key]), told, file, line, place.edit, place.why_not))
    return made


def _equal(key: str, said: str, live: str) -> bool:
    if key.endswith("_bytes"):
        return size(said, binary=True) == int(live)
    try:
        return float(said) == float(live)
    except ValueError:
        return False


def _said(key: str, value: str) -> str:
    number = size(value, binary=True) if key.endswith("_bytes") else None
    return mebibytes(number) if number else "without limit" if value in ("0", "-1") else value


def _written(key: str, live: str) -> str:
    if key.endswith("_bytes") and int(live) > 0 and int(live) % (1 << 20) == 0:
        return f"{int(live) >> 20}m"
    return live
