"""Replication: how far a standby is behind and why, which standbys a primary has lost, and slots that nobody reads."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from annotated_types import Ge, MaxLen

from watchkeeper.connectors.postgres import ending, preconditions
from watchkeeper.connectors.postgres.figures import is_protected, normalised
from watchkeeper.connectors.postgres.session import PostgresSession, Row
from watchkeeper.connectors.postgres.trouble import Trouble
from watchkeeper.domain import Effect, Refused, tool
from watchkeeper.domain.rights import grants, machine

_STANDBY = """
SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
  ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END::float8
  AS replication_lag_seconds,
  coalesce(greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0), 0)::float8
  AS replay_behind_bytes,
  (SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming')::float8 AS receivers,
  pg_is_wal_replay_paused()::int::float8 AS replay_paused,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'startup'
   AND (wait_event LIKE 'RecoveryConflict%' OR wait_event_type IN ('Lock', 'BufferPin')))::float8 AS replay_blocked,
  coalesce((SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo'), false) AS wants
"""
"""`pg_is_wal_replay_paused` may be asked by anybody; `primary_conninfo` is hidden from those who may not read all
settings: then it wants a primary that had one."""
_READERS = """
SELECT pid, usename AS user, application_name AS application, backend_type, backend_start::text AS started, state,
  query, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
ORDER BY xact_start LIMIT 1
"""
"""The oldest snapshot on a standby: what replay waits for."""
_SENDERS = """
SELECT application_name AS name, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS behind
FROM pg_stat_replication WHERE state IN ('streaming', 'catchup') AND application_name <> 'pg_basebackup'
"""
_SLOTS = """
SELECT slot_name AS name, slot_type AS kind, active, coalesce(wal_status, '') AS status,
  pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
    restart_lsn)::float8 AS retained
FROM pg_replication_slots WHERE NOT temporary
"""
_LIMITS = """
SELECT name, CASE WHEN setting::bigint < 0 THEN -1 ELSE setting::bigint * 1048576 END::float8 AS bytes
FROM pg_settings WHERE name IN ('max_slot_wal_keep_size', 'max_wal_size')
"""
_KNOWN_AFTER = 30.0
"""A standby that was there for so many seconds is missed when it goes: a backup or a test comes and goes sooner."""
_MISSED_FOR = 3600.0
"""For how many seconds: then it was meant."""
CARRIED = (
    "replication_lag_seconds",
    "replay_behind_bytes",
    "receivers",
    "wants_primary",
    "replay_paused",
    "replay_blocked",
    "replay_blocker_seconds",
    "replay_blocker_protected",
    "replicas",
    "replicas_behind_bytes",
    "standbys_lost",
    "slots",
    "slots_unused",
    "slots_lost",
    "slot_unused_seconds",
    "slot_retained_bytes",
    "slot_fills_disk_seconds",
    "slot_bounded",
    "max_wal_bytes",
)
CARRIED_FACTS = (
    "replay_blocker_pid",
    "replay_blocker_started",
    "replay_blocker",
    "lost_standby",
    "slot",
    "slot_detail",
)
FOREVER = 1e9
"""Seconds that stand for never."""


async def look_at_replication(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """What a standby knows of itself, or a primary of its standbys; and slots, which both may have. Raises Trouble."""
    for name in (*CARRIED_FACTS, *CARRIED):
        metrics.pop(name, None)
        facts.pop(name, None)
    limits = {row["name"]: row["bytes"] for row in await session.query(_LIMITS)}
    metrics["max_wal_bytes"] = limits["max_wal_size"]
    if metrics["is_replica"]:
        await _of_standby(session, metrics, facts)
    else:
        rows = await session.query(_SENDERS)
        behind = [row["behind"] for row in rows if row["behind"] is not None]
        lost = _lost(session, Counter(str(row["name"] or "") for row in rows))
        metrics |= {
            "replicas": float(len(rows)),
            "replicas_behind_bytes": max(behind, default=0.0),
            "standbys_lost": float(sum(lost.values())),
        }
        facts["lost_standby"] = ", ".join(f"{name or 'a standby without a name'}" for name in sorted(lost))
    _of_slots(session, await session.query(_SLOTS), limits["max_slot_wal_keep_size"], metrics, facts)


async def _of_standby(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    (row,) = await session.query(_STANDBY)
    session.streamed |= row["receivers"] > 0
    wants = bool(row.pop("wants")) or session.streamed
    metrics |= {name: float(value) for name, value in row.items()} | {"wants_primary": float(wants)}
    metrics |= {"replay_blocker_seconds": 0.0, "replay_blocker_protected": 0.0}
    if not metrics["replay_blocked"]:
        return
    for who in await session.query(_READERS):
        metrics |= {
            "replay_blocker_seconds": who["seconds"],
            "replay_blocker_protected": float(is_protected(who, session.protect)),
        }
        facts |= {
            "replay_blocker_pid": str(who["pid"]),
            "replay_blocker_started": str(who["started"]),
            "replay_blocker": f"{who['application'] or who['user']}: {normalised(str(who['query'] or ''))}",
        }


def _lost(session: PostgresSession, present: Counter[str]) -> dict[str, int]:
    """Standbys that were there for a while and are not: how many of each name."""
    at = asyncio.get_running_loop().time()
    for name, count in present.items():
        for number in range(count):
            first, _ = session.standbys.get((name, number), (at, at))
            session.standbys[name, number] = (first, at)
    lost: Counter[str] = Counter()
    for key, (first, last) in list(session.standbys.items()):
        if key[1] < present[key[0]]:
            continue
        if last - first < _KNOWN_AFTER or at - last > _MISSED_FOR:
            del session.standbys[key]
        else:
            lost[key[0]] += 1
    return dict(lost)


def _of_slots(
    session: PostgresSession, rows: Sequence[Row], limit: float, metrics: dict[str, float], facts: dict[str, str]
) -> None:
    """The slot that nobody reads and that keeps most: since when, and how soon the disk would be full of it."""
    at = asyncio.get_running_loop().time()
    unused = {str(row["name"]): row for row in rows if not row["active"] and row["retained"] is not None}
    session.slots = {name: known for name, known in session.slots.items() if name in unused}
    for name, row in unused.items():
        session.slots.setdefault(name, (at, row["retained"]))
    lost = [str(row["name"]) for row in rows if row["status"] == "lost"]
    metrics |= {
        "slots": float(len(rows)),
        "slots_unused": float(len(unused)),
        "slots_lost": float(len(lost)),
        "slot_unused_seconds": 0.0,
        "slot_retained_bytes": 0.0,
        "slot_fills_disk_seconds": FOREVER,
        "slot_bounded": 0.0,
    }
    facts |= {"slot": lost[0] if lost else "", "slot_detail": f"the slot {lost[0]} is lost" if lost else ""}
    if not unused:
        return
    name = max(unused, key=lambda one: unused[one]["retained"])
    retained, (since, first) = max(0.0, unused[name]["retained"]), session.slots[name]
    free = metrics.get("disk_free_bytes")
    grows = (retained - first) / (at - since) if at - since > 1 else 0.0
    bounded = limit >= 0 and (free is None or limit < retained + free)
    if free is not None and grows > 0 and not bounded:
        metrics["slot_fills_disk_seconds"] = free / grows
    metrics |= {"slot_unused_seconds": at - since, "slot_retained_bytes": retained, "slot_bounded": float(bounded)}
    seen = datetime.now(UTC) - timedelta(seconds=at - since)
    facts |= {
        "slot": name,
        "slot_detail": f"nobody reads the {unused[name]['kind']} slot {name}, since {seen:%Y-%m-%d %H:%M} UTC at "
        f"least; it keeps {retained / 1048576:.0f} MB of the write-ahead log",
    }


# Hands ---------------------------------------------------------------------------------------------------------------


def replay_is_paused(reading: Any, arguments: Mapping[str, Any]) -> str | None:
    """Somebody paused it."""
    return None if reading.metrics["replay_paused"] > 0 else "Replay is not paused."


def replay_is_blocked(reading: Any, arguments: Mapping[str, Any]) -> str | None:
    """Replay waits for a query, and that one may be ended."""
    if reading.metrics["replay_blocked"] <= 0:
        return "Replay waits for no query."
    if reading.metrics["replay_blocker_protected"] > 0:
        return f"What replay waits for is protected ({reading.facts['replay_blocker']}): it is waited for."
    return None


def slot_is_unused(reading: Any, arguments: Mapping[str, Any]) -> str | None:
    """Nobody reads it, and it keeps more than a checkpoint would anyway."""
    if reading.facts["slot"] != arguments.get("name") or reading.metrics["slots_unused"] < 1:
        return f"The slot {arguments.get('name')} is not the one that keeps most without being read."
    kept, most = reading.metrics["slot_retained_bytes"], reading.metrics["max_wal_bytes"]
    if kept < most and reading.metrics.get("disk_used_ratio", 0.0) < preconditions.CROWDED_DISK:
        return f"It keeps {kept / 1048576:.0f} MB only, less than max_wal_size, and the disk has room."
    return None


async def replay_paused(session: PostgresSession) -> bool:
    """Whether replay is paused; a primary replays nothing."""
    (row,) = await session.query(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused"
    )
    return bool(row["paused"])


@tool(
    Effect.REVERSIBLE,
    state=replay_paused,
    settle=60.0,
    timeout=10.0,
    requires=(preconditions.is_standby, replay_is_paused),
    rights=grants("EXECUTE ON FUNCTION pg_wal_replay_resume()", "EXECUTE ON FUNCTION pg_wal_replay_pause()"),
    by_hand="{inside}psql -U postgres -c 'SELECT pg_wal_replay_resume()'",
)
async def postgres_resume_replay(session: PostgresSession) -> dict[str, bool]:
    """Let a standby replay what it has received, after somebody paused that. Nothing is lost; it catches up."""
    await session.query("SELECT pg_wal_replay_resume()")
    session.soon("standing")
    return {"paused": await replay_paused(session)}


@postgres_resume_replay.undo
async def pause_replay(session: PostgresSession, before: bool) -> None:
    """Paused again, where it was."""
    if before and not await replay_paused(session):
        await session.query("SELECT pg_wal_replay_pause()")


@tool(
    Effect.DISRUPTIVE,
    settle=60.0,
    timeout=15.0,
    requires=(preconditions.is_standby, replay_is_blocked),
    rights=grants("pg_read_all_stats", "pg_signal_backend"),
    by_hand="{inside}psql -U postgres -c 'SELECT pg_cancel_backend({pid})'",
)
async def postgres_end_replay_blocker(
    session: PostgresSession, pid: Annotated[int, Ge(1)], started: Annotated[str, MaxLen(64)]
) -> dict[str, int]:
    """End the oldest query on a standby, which replay waits for: it is cancelled, and its session ended where that is
    not enough. It read only, so nothing is lost; whoever asked has to ask again."""
    rows = [row for row in await session.query(_READERS) if (row["pid"], row["started"]) == (pid, started)]
    if not rows:
        raise Refused(f"Session {pid} is not the one with the oldest snapshot (any more).")
    if is_protected(rows[0], session.protect):
        raise Refused(f"Session {pid} is protected: it takes long by nature, and is waited for.")
    left = await ending.cancel(session, rows) if rows[0]["state"] == "active" else rows
    still = [row for row in await session.query(_READERS) if row["pid"] == pid] if left else []
    session.soon("standing")
    return {"cancelled": len(rows), "ended": await ending.terminate(session, rows) if still else 0}


async def slot_names(session: PostgresSession) -> list[str]:
    """Which slots there are."""
    return sorted(str(row["name"]) for row in await session.query(_SLOTS))


@tool(
    Effect.DESTRUCTIVE,
    state=slot_names,
    settle=10.0,
    timeout=15.0,
    requires=(slot_is_unused,),
    rights=machine("the attribute REPLICATION for its role at the PostgreSQL", gives="replication slots are dropped"),
    by_hand="{inside}psql -U postgres -c \"SELECT pg_drop_replication_slot('{name}')\"",
)
async def postgres_drop_replication_slot(session: PostgresSession, name: Annotated[str, MaxLen(63)]) -> dict[str, Any]:
    """Drop a slot that nobody reads and that keeps the write-ahead log from being removed. Whoever was to read it (a
    standby, a subscriber) cannot go on from where it was and has to be set up anew: only where it is gone for good."""
    rows = [row for row in await session.query(_SLOTS) if row["name"] == name]
    if not rows:
        raise Refused(f"There is no slot {name} (any more).")
    if rows[0]["active"]:
        raise Refused(f"The slot {name} is being read.")
    try:
        await session.query("SELECT pg_drop_replication_slot(%(name)s)", {"name": name}, timeout=10.0)
    except Trouble as problem:
        if "is active" in str(problem):
            raise Refused(f"The slot {name} is being read.") from None
        raise
    session.soon("standing")
    return {"dropped": name, "kept_bytes": rows[0]["retained"]}
