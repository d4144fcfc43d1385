"""Checkpoints that come before their time, and the room for the write-ahead log that decides it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors.postgres import preconditions
from watchkeeper.connectors.postgres.altering import alter_system
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.trouble import denied
from watchkeeper.domain import Effect, Reading, tool
from watchkeeper.domain.rights import grants

_COUNTS = """
SELECT {requested}::float8 AS requested, {timed}::float8 AS timed,
  CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END::float8 AS written,
  (SELECT setting::float8 FROM pg_settings WHERE name = 'checkpoint_warning') AS warning
FROM {view}
"""
_BEFORE_17 = _COUNTS.format(requested="checkpoints_req", timed="checkpoints_timed", view="pg_stat_bgwriter")
_SINCE_17 = _COUNTS.format(requested="num_requested", timed="num_timed", view="pg_stat_checkpointer")
_WINDOW_SECONDS = 180.0
_LEAST_WAL = 0.15
"""A checkpoint because of the write-ahead log comes after about half of max_wal_size; one that somebody asked for (a
backup, CREATE DATABASE, by hand) comes whenever that is."""
_FREE_SHARE = 0.5
_MOST_TIMES = 4.0
MB = 1048576.0
CARRIED = (
    "checkpoints_requested_total",
    "checkpoints_timed_total",
    "checkpoints_forced_lately",
    "checkpoint_interval_seconds",
    "checkpoint_warning_seconds",
    "wal_bytes_per_second",
)
_SETTING = """
SELECT setting::int AS value, coalesce(sourcefile LIKE '%%postgresql.auto.conf', false) AS altered,
  pg_has_role(current_user, 'pg_read_all_settings', 'usage') AS told FROM pg_settings WHERE name = %(name)s
"""


async def look_at_checkpoints(session: PostgresSession, metrics: dict[str, float], facts: Mapping[str, str]) -> None:
    """How many there were of late because of the write-ahead log, and how far apart. Raises Trouble."""
    major = int(facts.get("version", "0").split(".")[0].split(" ")[0].rstrip("abcdefghijklmnopqrstuvwxyz") or 0)
    (row,) = await session.query(_SINCE_17 if major >= 17 else _BEFORE_17)
    at, seen = asyncio.get_running_loop().time(), session.checkpoints
    if seen and row["requested"] < seen[-1][1]:
        seen.clear()  # it was started anew, or its counters were
    seen.append((at, row["requested"], row["written"]))
    while at - seen[0][0] > _WINDOW_SECONDS:
        seen.popleft()
    begun, requested, written = seen[0]
    count, wal, seconds = row["requested"] - requested, row["written"] - written, at - begun
    metrics |= {
        "checkpoints_requested_total": row["requested"],
        "checkpoints_timed_total": row["timed"],
        "checkpoint_warning_seconds": row["warning"],
        "checkpoints_forced_lately": 0.0,
        "checkpoint_interval_seconds": _WINDOW_SECONDS,
        "wal_bytes_per_second": max(0.0, wal) / seconds if seconds > 0 else 0.0,
    }
    if count and wal / count > _LEAST_WAL * metrics.get("max_wal_bytes", float("inf")):
        metrics |= {"checkpoints_forced_lately": count, "checkpoint_interval_seconds": seconds / count}


def room_for_wal(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """More than now, not by much, and no more than half of what the disk has free."""
    value, present = float(arguments.get("megabytes", 0)) * MB, reading.metrics["max_wal_bytes"]
    if value <= present:
        return f"It is {present / MB:.0f} MB already."
    if value > _MOST_TIMES * present:
        return f"{value / MB:.0f} MB is more than four times what it is now ({present / MB:.0f} MB)."
    free = reading.metrics["disk_free_bytes"]
    if value - present > _FREE_SHARE * free:
        return f"The disk has {free / MB:.0f} MB free; {(value - present) / MB:.0f} MB more of it would be too much."
    return None


async def _setting(session: PostgresSession, name: str) -> dict[str, Any]:
    """A setting in its own unit, and whether ALTER SYSTEM had set it. Raises Trouble."""
    (row,) = await session.query(_SETTING, {"name": name})
    if not row["told"]:  # an undo would take back what somebody else has set
        raise denied("pg_read_all_settings", f"whether ALTER SYSTEM has set {name} is not told")
    return {"value": row["value"], "altered": row["altered"]}


async def _alter(session: PostgresSession, name: str, change: str, expected: int | None) -> None:
    """Change a setting, and wait until the server has read it."""

    async def holds() -> bool:
        return expected is None or (await _setting(session, name))["value"] == expected

    await alter_system(session, change, holds)


async def max_wal_size(session: PostgresSession) -> dict[str, Any]:
    """The setting, in megabytes."""
    return await _setting(session, "max_wal_size")


@tool(
    Effect.REVERSIBLE,
    state=max_wal_size,
    settle=180.0,
    timeout=15.0,
    requires=(preconditions.is_primary, room_for_wal),
    rights=grants(
        "pg_read_all_settings", "ALTER SYSTEM ON PARAMETER max_wal_size", "EXECUTE ON FUNCTION pg_reload_conf()"
    ),
    by_hand="{inside}psql -U postgres -c \"ALTER SYSTEM SET max_wal_size = '{megabytes}MB'\" "
    "-c 'SELECT pg_reload_conf()'",
)
async def postgres_set_max_wal_size(
    session: PostgresSession, megabytes: Annotated[int, Ge(32), Le(1 << 20)]
) -> dict[str, int]:
    """Let more of the write-ahead log be written between two checkpoints. Nothing restarts; it takes room on the disk,
    and recovery after a crash takes longer."""
    before = await max_wal_size(session)
    await _alter(session, "max_wal_size", f"SET max_wal_size = '{int(megabytes)}MB'", int(megabytes))
    session.soon("standing")
    return {"before": before["value"], "now": (await max_wal_size(session))["value"]}


@postgres_set_max_wal_size.undo
async def restore_max_wal_size(session: PostgresSession, before: dict[str, Any]) -> None:
    """The setting as it was."""
    value = int(before["value"])
    change = f"SET max_wal_size = '{value}MB'" if before["altered"] else "RESET max_wal_size"
    await _alter(session, "max_wal_size", change, value)


async def slot_limit(session: PostgresSession) -> dict[str, Any]:
    """`max_slot_wal_keep_size`, in megabytes; -1 is without."""
    return await _setting(session, "max_slot_wal_keep_size")


def limit_leaves_slots(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A slot goes on keeping what it keeps now, and half of the free disk is left."""
    value, kept = float(arguments.get("megabytes", 0)) * MB, reading.metrics["slot_retained_bytes"]
    if reading.metrics["slot_bounded"] > 0:
        return "What slots may keep is limited already, to less than the disk has room for."
    if value < 1.1 * kept:
        return f"A slot keeps {kept / MB:.0f} MB already: so small a limit would make it useless at once."
    free = reading.metrics["disk_free_bytes"]
    if value - kept > 0.8 * free:
        return f"The disk has {free / MB:.0f} MB free: that is no limit which would protect it."
    return None


@tool(
    Effect.REVERSIBLE,
    state=slot_limit,
    settle=20.0,
    timeout=15.0,
    requires=(preconditions.is_primary, limit_leaves_slots),
    rights=grants(
        "pg_read_all_settings",
        "ALTER SYSTEM ON PARAMETER max_slot_wal_keep_size",
        "EXECUTE ON FUNCTION pg_reload_conf()",
    ),
    by_hand="{inside}psql -U postgres -c \"ALTER SYSTEM SET max_slot_wal_keep_size = '{megabytes}MB'\" "
    "-c 'SELECT pg_reload_conf()'",
)
async def postgres_limit_slot_wal(
    session: PostgresSession, megabytes: Annotated[int, Ge(16), Le(1 << 24)]
) -> dict[str, int]:
    """Limit how much of the write-ahead log slots may keep, so that the disk cannot be filled: above what the largest
    keeps now, so that none is lost by it. A slot that comes to the limit later is lost then, and its replica has to be
    set up anew. Nothing restarts."""
    before = await slot_limit(session)
    await _alter(
        session, "max_slot_wal_keep_size", f"SET max_slot_wal_keep_size = '{int(megabytes)}MB'", int(megabytes)
    )
    session.soon("standing")
    return {"before": before["value"], "now": (await slot_limit(session))["value"]}


@postgres_limit_slot_wal.undo
async def restore_slot_limit(session: PostgresSession, before: dict[str, Any]) -> None:
    """The limit as it was."""
    value = int(before["value"])
    said = "-1" if value < 0 else f"'{value}MB'"
    change = f"SET max_slot_wal_keep_size = {said}" if before["altered"] else "RESET max_slot_wal_keep_size"
    await _alter(session, "max_slot_wal_keep_size", change, value)
