"""Faults and controls of Redis."""

from watchkeeper_lab.faults.redis import clients, memory, process, script, settings
from watchkeeper_lab.faults.site import Injector

INJECTORS: dict[str, Injector] = {
    "redis-memory-full-headroom": memory.full_with_headroom,
    "redis-memory-full-no-headroom": memory.full_without_headroom,
    "redis-clients-exhausted": clients.exhausted,
    "redis-busy-script": script.busy,
    "redis-killed": process.killed,
    "redis-paused": process.paused,
    "redis-replica-misdirected": settings.misdirected,
    "redis-writes-want-replicas": settings.wants_replicas,
    "redis-folder-unwritable": settings.unwritable,
    "self-recovering": memory.over_and_back,
    "stopped-on-purpose": process.stopped,
}
