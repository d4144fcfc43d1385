"""When a tool must not be called: judged from the reading alone, before anything is done."""

from collections.abc import Mapping
from typing import Any

from watchkeeper.domain import Reading

SHORT = 0.7
"""Below this share of its connections nobody is thrown out."""

CROWDED_DISK = 0.85
"""Below this share of its disk nothing is moved."""


def short_of_slots(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Nobody is thrown out of a server that has room."""
    ratio = reading.metrics.get("connections_ratio")
    return f"Only {ratio:.0%} of its connections are taken." if ratio is not None and ratio < SHORT else None


def long_enough(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """The crowd has been at it for as long as is asked."""
    seconds, least = reading.metrics.get("crowd_seconds"), float(arguments.get("min_seconds", 0))
    if reading.facts.get("error") == "exhausted" or seconds is None:
        return None  # who holds them is not known yet; the tool itself looks once more
    if seconds < least:
        return f"The largest group of sessions has been at it for {seconds:.1f} s only; that may be plain traffic."
    return None


def crowd_works(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Statements are ended where they hold the connections."""
    if reading.facts.get("error") != "exhausted" and reading.metrics.get("crowd_active", 1.0) < 1.0:
        return "The sessions that hold the connections are idle: there is no statement to end."
    return None


def crowd_idles(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Idle sessions are ended where they hold the connections."""
    if reading.facts.get("error") != "exhausted" and reading.metrics.get("crowd_active", 0.0) > 0:
        return "The sessions that hold the connections are at work, not idle."
    if reading.metrics.get("crowd_in_transaction", 0.0) > 0:
        return "The sessions that hold the connections have transactions open: ending them rolls back what they did."
    return None


def crowd_idles_in_transaction(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """The sessions of one application are ended where it is they that hold the connections."""
    if not arguments.get("application") or reading.metrics.get("crowd_in_transaction", 0.0) > 0:
        return None
    return "The sessions that hold the connections have no transaction open."


def load_is_real(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """More connections help where they are used: what leaks takes those, too, and a restart was for nothing."""
    metrics = reading.metrics
    if metrics.get("crowd_active", 1.0) > 0 or "max_connections" not in metrics:
        return None
    held, most = metrics.get("crowd_sessions", 0.0), metrics["max_connections"]
    if held < most / 2:
        return None
    who = reading.facts.get("crowd_application") or reading.facts.get("crowd_user") or "one application"
    does = "sit in open transactions" if metrics.get("crowd_in_transaction", 0.0) > 0 else "are idle"
    return (
        f"{held:.0f} of the {most:.0f} connections are held by sessions of {who} that {does}: it would take more, too."
    )


def not_of_a_pooler(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What a pooler keeps open is not what somebody forgot."""
    if reading.metrics.get("crowd_pooled", 0.0) > 0:
        return (
            f"These sessions come from a pooler ({reading.facts.get('crowd_address')}): each serves many clients, and "
            "it would open others at once. Make its pool smaller, or give back what its clients hold."
        )
    return None


def someone_waits(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A blocker blocks somebody."""
    return None if reading.metrics.get("blocked_sessions", 0.0) > 0 else "No session waits for another."


def head_may_be_ended(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Never a dump, a backup, maintenance, or what the user protects."""
    if reading.metrics.get("head_protected", 0.0) > 0:
        who = reading.facts.get("head_application") or reading.facts.get("head_query") or "a protected session"
        return f"What blocks the others is protected ({who}): it takes long by nature, and is waited for."
    return None


def idles_in_transaction(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is one, and for long enough."""
    longest = reading.metrics.get("longest_idle_in_transaction_seconds", 0.0)
    least = float(arguments.get("min_seconds", 0))
    if longest < least:
        return f"The longest idle transaction is {longest:.0f} s old, less than {least:.0f} s."
    if arguments.get("only_blocking") and not reading.facts.get("head_state", "").startswith("idle in transaction"):
        return "What the others wait for is at work, not idle."
    return None


def is_primary(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """What a standby holds comes from its primary: that is where it is changed."""
    return "It is a standby: that is done at its primary." if reading.metrics["is_replica"] > 0 else None


def is_standby(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Only a standby replays."""
    return None if reading.metrics["is_replica"] > 0 else "It is no standby."


def worth_vacuuming(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A tenth of the rows are dead."""
    ratio = reading.metrics.get("dead_rows_ratio", 0.0)
    return f"Only {ratio:.0%} of its rows are dead." if ratio < 0.1 else None


def autovacuum_is_off(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Something keeps it away: a table's own option, or the server's setting."""
    return "Autovacuum is on." if reading.metrics["autovacuum_enabled"] > 0 else None


def disk_is_short(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """Nothing is moved on a disk that has room."""
    ratio = reading.metrics["disk_used_ratio"]
    return f"Its disk is {ratio:.0%} full only." if ratio < CROWDED_DISK else None


def spare_has_room(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """There is a folder on another disk, and what is to be moved fits in."""
    free = reading.metrics.get("spare_free_bytes")
    if free is None:
        return "No folder on another disk is named for what fills this one (`spare_folder`), or it is not there."
    size = reading.metrics.get("stray_bytes", 0.0)
    return f"The spare folder has {free:.0f} bytes left, and {size:.0f} are needed." if free < 1.1 * size else None


def leaves_memory(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """More connections than now, and no more than memory is there for."""
    value, present = float(arguments.get("value", 0)), reading.metrics.get("max_connections")
    if present is None:
        return "How many connections it allows now is not known."
    if value <= present:
        return f"It allows {present:.0f} connections already."
    safe = reading.metrics.get("safe_max_connections")
    if safe is not None and value > safe:
        return f"{value:.0f} connections need more memory than its container has ({safe:.0f} fit)."
    return None
