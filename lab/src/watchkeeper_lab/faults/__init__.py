"""What breaks the lab, and what only looks like it.

Each injector returns once its fault is in effect, with the moment (Unix time) from which it was.
"""

from collections.abc import Awaitable, Callable

from watchkeeper_lab.faults import clients, containers, load, memory, script
from watchkeeper_lab.faults.site import Site

Injector = Callable[[Site], Awaitable[float]]

INJECTORS: dict[str, Injector] = {
    "redis-memory-full-headroom": memory.full_with_headroom,
    "redis-memory-full-no-headroom": memory.full_without_headroom,
    "redis-clients-exhausted": clients.exhausted,
    "redis-busy-script": script.busy,
    "redis-killed": containers.killed,
    "redis-paused": containers.paused,
    "healthy": load.nothing,
    "load-peak": load.peak,
    "self-recovering": memory.over_and_back,
    "stopped-on-purpose": containers.stopped,
}

__all__ = ["INJECTORS", "Injector", "Site"]
