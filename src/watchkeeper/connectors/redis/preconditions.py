"""When a tool must not be called: judged from the reading alone, before anything is done."""

from collections.abc import Mapping
from typing import Any

from watchkeeper.domain import Effect, Reading
from watchkeeper.domain.size import readable

WORTH = 0.25
"""Share of maxmemory that fragmentation must be worth before a purge is tried."""
STEP = 1.1
"""A raise by less than a tenth is used up at once."""
ROOM = 0.8
"""What is used must be below this share of the new limit. The alert clears below 85 % (rules.yaml), and what could not
be written until then uses some at once: what ended at 85.1 % would be taken back, and writes would fail again."""


def worth_purging(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Something to give back."""
    frag, most = reading.metrics.get("fragmentation_bytes"), reading.metrics.get("maxmemory_bytes", 0.0)
    if frag is None:
        return "This server does not tell how fragmented its memory is."
    if most <= 0:
        return "There is no maxmemory to measure it against."
    if frag < WORTH * most:
        return f"Fragmentation is {frag / most:.1%} of maxmemory; below {WORTH:.0%} a purge gains nothing."
    return None


def leaves_room(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """The new limit helps, and fits into the container."""
    value = float(arguments.get("value", 0))
    present, used = reading.metrics.get("maxmemory_bytes"), reading.metrics.get("used_memory_bytes")
    safe = reading.metrics.get("safe_maxmemory_bytes")
    if not present:
        return "It has no maxmemory, so there is nothing to raise." if present == 0 else "maxmemory is not known."
    if used is None:
        return "What it uses is not known."
    if value < STEP * present:
        return f"{readable(value)} is not a tenth more than the present {readable(present)}: no headroom worth it."
    if used >= ROOM * value:
        return f"It uses {readable(used)}, more than {ROOM:.0%} of {readable(value)}: that would not heal it."
    if safe is not None and value > safe:
        return f"{readable(value)} is more than is safe here ({readable(safe)}): fork and AOF would not fit beside it."
    return None


def declares_a_cache(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Only declared keys are ever removed."""
    if reading.metrics.get("declared_cache", 0.0) < 1.0:
        return "No keys are declared to be a cache here (label watchkeeper.redis.cache-keys, or `cache_keys`)."
    return None


def has_a_limit(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A share of maxmemory needs a maxmemory."""
    return None if reading.metrics.get("maxmemory_bytes", 0.0) > 0 else "It has no maxmemory, or it is not known."


def not_in_a_cluster(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Not a node of a cluster, which has only some of the keys, and refuses commands over several slots."""
    if reading.metrics.get("cluster_enabled", 0.0) > 0:
        return "It is one node of a cluster: keys are not removed node by node."
    return None


def is_more(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """The new backlog is more than the present one, and little beside the memory it may use."""
    value, present = float(arguments.get("value", 0)), reading.metrics.get("repl_backlog_bytes", 0.0)
    if value <= present:
        return f"The backlog holds {present:.0f} bytes already."
    limit = reading.metrics.get("memory_limit_bytes")
    if limit and value > 0.1 * limit:
        return f"{value:.0f} bytes is more than a tenth of the memory it may use."
    return None


def is_above(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is something to bring down."""
    ratio, wanted = reading.metrics.get("used_memory_ratio"), float(arguments.get("down_to_ratio", 0.0))
    if ratio is not None and ratio <= wanted:
        return f"It uses {ratio:.0%} of maxmemory, which is below {wanted:.0%} already."
    return None


def all_declared(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A flush, only where the sample holds nothing undeclared. The tool itself looks at every key."""
    share = reading.metrics.get("undeclared_sample_ratio")
    if share is None:
        return "Whether all keys are declared to be a cache is not known."
    return f"{share:.0%} of the sampled keys are not declared to be a cache." if share > 0 else None


def short_of_slots(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Nobody is thrown out of a server that has room."""
    ratio = reading.metrics.get("connections_ratio")
    if ratio is not None and ratio < 0.5:
        return f"Only {ratio:.0%} of its connections are taken."
    return None


def may_be_busy(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A script is killed where one blocks the server, or where silence may be one."""
    if reading.metrics.get("busy_script", 0.0) < 1.0 and reading.metrics.get("responding", 0.0) > 0:
        return "No script blocks it: it answers."
    return None


def effect_of_restart(reading: Reading) -> Effect:
    """What a restart does from this state: destroys what is kept only in memory."""
    metrics = reading.metrics
    if metrics.get("host_running") == 0.0:
        return Effect.DISRUPTIVE  # the process is gone and its memory with it: starting loses nothing more
    if metrics.get("persistence_enabled", 0.0) < 1.0:
        return Effect.DESTRUCTIVE
    answers = metrics.get("responding", 0.0) > 0 and metrics.get("busy_script", 0.0) < 1.0
    if metrics.get("aof_enabled", 0.0) < 1.0 and not answers:
        # Save points only: told to end it would save, but this one does not hear and will be killed.
        return Effect.DESTRUCTIVE
    return Effect.DISRUPTIVE
