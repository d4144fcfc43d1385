"""When a tool must not be called: judged from the reading alone, before anything is done."""

from collections.abc import Mapping
from typing import Any

from watchkeeper.domain import Reading

SERVER_SHARE = 0.8
"""Of the connections that the server allows, the pools may take so many at most: others need some, and we."""
MOST_TIMES = 2.0
"""A pool is made no larger than so many times what it was: PgBouncer is there to keep the server's crowd small."""


def may_be_paused(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Something is paused, or its version does not tell whether the whole of it is."""
    metrics = reading.metrics
    if metrics["paused"] > 0 or metrics["paused_databases"] > 0:
        return None
    if metrics["state_told"] < 1 and metrics["unserved_seconds"] > 0:
        return None
    return "Nothing is paused."


def is_disabled(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is a database that lets nobody in."""
    return None if reading.metrics["disabled_databases"] > 0 else "No database is disabled."


def pool_is_exhausted(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Somebody waits for a pool that is full, and whose size is the default one."""
    if reading.metrics["pool_exhausted_seconds"] <= 0:
        return "No pool is full."
    if reading.metrics["pool_size"] != reading.metrics["default_pool_size"]:
        return (
            f"The pool of {reading.facts['pool_database']} has a size of its own ({reading.metrics['pool_size']:.0f}): "
            "change pool_size in the configuration and reload it."
        )
    return None


def server_has_room(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Larger than now, not by much, and no more than the server has connections for, where that is known."""
    value, present = float(arguments.get("value", 0)), reading.metrics["default_pool_size"]
    if value <= present:
        return f"A pool has {present:.0f} connections already."
    if value > MOST_TIMES * present:
        return f"{value:.0f} is more than twice what it is now ({present:.0f})."
    most = reading.metrics.get("server_max_connections")
    grown = reading.metrics["servers"] + value - present
    if most is not None and grown > SERVER_SHARE * most:
        return f"The server allows {most:.0f} connections; {grown:.0f} from here would leave too few for others."
    return None
