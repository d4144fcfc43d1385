"""When a tool must not be called: judged from the reading alone, before anything is done."""

from collections.abc import Mapping
from typing import Any

from watchkeeper.domain import Reading

SHORT = 0.6
"""Below this share of its connections nobody is thrown out."""


def tests_good(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Nothing is loaded that `nginx -t` refuses."""
    valid = reading.metrics.get("configuration_valid")
    if valid is None:
        return "Whether its configuration is valid is not known."
    if valid < 1.0:
        return f"Its configuration is not valid: {reading.facts.get('configuration_error', '')[:200]}"
    return None


def tests_bad(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Restoring is for what is broken."""
    return "Its configuration on disk is valid." if reading.metrics.get("configuration_valid", 1.0) > 0 else None


def knows_a_good_one(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """One that tested good was seen."""
    if reading.metrics.get("good_configuration_known", 0.0) < 1.0:
        return "No configuration that tested good was seen here: there is nothing to restore."
    good = reading.facts.get("good_hash")
    if good and good == reading.facts.get("configuration_hash"):
        return "Its files are as they were when they tested good: what is wrong is outside of them."
    return None


def may_be_written(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What is mounted read-only belongs to the machine."""
    return reading.facts.get("read_only") or None


def serves_what_is_loaded(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A restart with a broken configuration would end it for good."""
    if reading.metrics.get("configuration_valid", 1.0) < 1.0:
        return "Its configuration on disk is not valid: once ended it would not start again. Restore it first."
    return None


def leaves_room(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """More connections than now, and no more than files and memory are there for."""
    value, present = float(arguments.get("value", 0)), reading.metrics.get("worker_connections")
    if present is None:
        return "How many connections it allows now is not known."
    if value <= present:
        return f"It allows {present:.0f} connections for each worker already."
    safe = reading.metrics.get("safe_worker_connections")
    if safe is not None and value > safe:
        return f"{value:.0f} connections for each worker need more files or memory than there are ({safe:.0f} fit)."
    return None


def nothing_pending(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A change of somebody else's that waits on disk is not loaded along with ours."""
    if reading.metrics.get("configuration_pending", 0.0) > 0:
        return "Somebody's change of its configuration is on disk and not loaded: a reload would load that, too."
    return None


def short_of_connections(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Nobody is thrown out of a server that has room."""
    ratio = reading.metrics.get("connections_ratio")
    return f"Only {ratio:.0%} of its connections are taken." if ratio is not None and ratio < SHORT else None


def someone_holds(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is a connection that is held for nothing."""
    idle, slow = reading.metrics.get("idle_connections"), reading.metrics.get("slow_connections")
    if idle is not None and slow is not None and not idle + slow:
        return "Every connection is at work: none is idle or slow with its request."
    return None


def not_the_upstream(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What it hands requests on to is not healed by restarting it."""
    if reading.metrics.get("responding", 0.0) > 0 and reading.metrics.get("bad_gateway_ratio", 0.0) > 0:
        return "It answers, and what it hands requests on to does not: restarting it would not help."
    return None
