"""One look at a PostgreSQL, and its probe."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from watchkeeper.connectors import hosting
from watchkeeper.connectors.postgres import (
    checkpoints,
    configuration,
    horizon,
    poolers,
    queries,
    replication,
    statements,
)
from watchkeeper.connectors.postgres.disk import LOOK_FROM_RATIO, look_at_disk
from watchkeeper.connectors.postgres.figures import crowd_of, head_of, is_protected, normalised
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.tables import BLOATED, worst_table
from watchkeeper.connectors.postgres.trouble import Trouble, trouble
from watchkeeper.domain import Probe, Reading, WatchkeeperError, now
from watchkeeper.domain.rights import DECLARED, calls, grants
from watchkeeper.hosts.rights import EXEC

SELDOM_EVERY = 15.0
"""Seconds between looks at what changes slowly or costs much: settings, sizes, other databases' tables."""
TABLES_EVERY = 5.0
"""Seconds between looks at the tables of the database it is connected to: what it counted, in one statement."""
TABLES_SHARE = 0.01
"""Share of the time they may take at most; where there are very many they are looked at more rarely."""
_DISK_EVERY = 5.0
SOON = 3.0
"""Seconds between them while something there is wrong."""
_TOTALS_EVERY = 2.0
_STANDING_EVERY = 10.0
"""Seconds between looks at replication, old transactions and checkpoints; SOON where a standby lags."""
_LAGS = 5.0
_CROWDED = 0.7
"""From this share of the connections on it is told who holds them."""
_PER_CONNECTION_BYTES = 1 << 20
"""Memory set aside for each connection out of half of what there is; ours, neither measured nor from a source."""

LOOK = (
    *grants("CONNECT ON DATABASE", on=DECLARED),
    *grants("pg_read_all_stats", gives="what others' sessions do, and who waits for whom"),
    *grants("pg_read_all_settings", gives="where its data directory is, and what ALTER SYSTEM has set"),
    *grants("CONNECT ON EVERY DATABASE", on=DECLARED, gives="the tables of other databases"),
    *grants("pg_use_reserved_connections", gives="a way in where every slot but the reserved ones is taken"),
    *calls(*EXEC, gives="how full its disk is, and what fills it, where its container cannot be looked into from here"),
)
"""What looking must be allowed."""
PROBE_WRITES = grants("TEMPORARY ON DATABASE", on=DECLARED)
"""What the probe must be allowed besides: it writes only where changes are permitted, and else reads a catalogue."""

_CARRIED = (
    "max_connections",
    "reserved_connections",
    "is_replica",
    "read_only",
    "autovacuum_enabled",
    "database_bytes",
    "disk_free_bytes",
    "disk_used_ratio",
    "inodes_free_ratio",
    "dead_rows",
    "dead_rows_ratio",
    "bloated_seconds",
    "table_bytes",
    "may_end_sessions",
    "safe_max_connections",
    "commits_total",
    "rollbacks_total",
    "blocks_hit_total",
    "blocks_read_total",
    "deadlocks_total",
    "temporary_bytes_total",
    "conflicts_total",
    "cache_hit_ratio",
    "commits_per_second",
    "rollbacks_per_second",
    "deadlocks_per_second",
    *replication.CARRIED,
    *horizon.CARRIED,
    *checkpoints.CARRIED,
    *statements.CARRIED,
)
"""What is not asked for with each look, or stays known when one fails."""
_OF_OTHERS = (
    "active_sessions",
    "idle_sessions",
    "idle_in_transaction",
    "waiting_sessions",
    "longest_query_seconds",
    "longest_transaction_seconds",
    "longest_idle_in_transaction_seconds",
)
"""What is known of other users' sessions only with a right of its own."""
_CARRIED_FACTS = (
    "version",
    "started",
    "login",
    "database",
    "bloated_table",
    "bloated_database",
    "data_directory",
    "not_read",
    *replication.CARRIED_FACTS,
    *horizon.CARRIED_FACTS,
    *statements.CARRIED_FACTS,
)
_RATES = {
    "commits_per_second": "commits_total",
    "rollbacks_per_second": "rollbacks_total",
    "deadlocks_per_second": "deadlocks_total",
}


_SAID = {"exhausted": "all connections taken", "forbidden": "its database is closed to everybody"}


async def look(session: PostgresSession, last: Reading | None) -> Reading:
    """Sessions, and who blocks whom; what changes slowly, seldom. 1.5 s at most, also where it fails."""
    begun, at = time.perf_counter(), now()
    metrics = {name: last.metrics[name] for name in _CARRIED if last and name in last.metrics}
    facts = {name: last.facts[name] for name in _CARRIED_FACTS if last and name in last.facts}
    metrics |= session.stray_metrics | {"host_known": float(session.host is not None)}
    facts |= session.stray_facts
    try:
        async with asyncio.timeout(1.3):
            await _good(session, at, metrics, facts)
        error, state = None, _summary(metrics, facts)
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        state = await _failed(session, found, metrics, facts)
        error = str(found)
    off = any(metrics.get(name) for name in hosting.OFF)
    took, configured, session.configured = time.perf_counter() - begun, session.configured, None
    return Reading(session.resource.id, at, took, metrics, facts, state, error, off, configured)


async def _good(session: PostgresSession, at: datetime, metrics: dict[str, float], facts: dict[str, str]) -> None:
    asked = time.perf_counter()
    (row,) = await session.query(queries.OVERVIEW, timeout=0.9)
    facts |= {"version": str(row.pop("version")), "started": str(row.pop("started")), "error": ""}
    facts |= {"login": str(row.pop("login")), "database": str(row.pop("database"))}
    metrics |= hosting.metrics_of(None) | {
        "up": 1.0,
        "responding": 1.0,
        "starting": 0.0,
        "unresponsive_seconds": 0.0,
        "answer_seconds": time.perf_counter() - asked,
    }
    if any(metrics.get(name, row[name]) != float(row[name]) for name in ("max_connections", "read_only")):
        session.soon("seldom")  # somebody has set it
    metrics |= {name: float(value) for name, value in row.items()}
    slots = max(1.0, metrics["max_connections"] - metrics.get("reserved_connections", 0.0))  # that anybody may take
    metrics["connections_ratio"] = min(1.0, metrics["connections"] / slots)
    metrics["connections_exhausted"] = float(metrics["connections"] >= slots)
    if metrics["hidden_sessions"]:
        for name in _OF_OTHERS:  # what they do is not known: none of it is 0
            metrics.pop(name, None)
    else:
        metrics |= {"blocked_sessions": 0.0, "blocking_depth": 0.0, "longest_blocked_seconds": 0.0}
    if metrics.get("waiting_sessions"):
        await _blocking(session, metrics, facts)
    if metrics["connections_ratio"] > _CROWDED and not metrics["hidden_sessions"]:
        await _crowd(session, metrics, facts)
    if session.due("totals", _TOTALS_EVERY) or "commits_total" not in metrics:
        await _totals(session, at, metrics)
    often = SOON if metrics.get("dead_rows_ratio", 0.0) > BLOATED else SELDOM_EVERY
    if session.due("seldom", often) or "autovacuum_enabled" not in metrics:
        await _seldom(session, metrics, facts)
    elif session.due("tables", max(TABLES_EVERY, session.tables_seconds / TABLES_SHARE)):
        await _tables(session, metrics, facts, others=False)
    await _disk(session, metrics, facts)
    often = SOON if metrics.get("replication_lag_seconds", 0.0) > _LAGS else _STANDING_EVERY
    if session.due("standing", often) or "slots" not in metrics:
        await replication.look_at_replication(session, metrics, facts)
        await horizon.look_at_horizon(session, metrics, facts)
        await checkpoints.look_at_checkpoints(session, metrics, facts)
    elif session.due("statements", statements.EVERY) or "statements_told" not in metrics:
        await statements.look_at_statements(session, metrics, facts)


_FEW_INODES = 0.05
"""Share of its disk's inodes from which they are counted often."""


async def _disk(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    short = metrics.get("disk_used_ratio", 0.0) > LOOK_FROM_RATIO or metrics.get("inodes_free_ratio", 1.0) < _FEW_INODES
    often = SOON if short else _DISK_EVERY
    if session.searching is not None:
        session.soon("disk")
    if session.due("disk", often):
        await look_at_disk(session, metrics, facts)
    metrics |= session.stray_metrics
    facts |= session.stray_facts


async def _totals(session: PostgresSession, at: datetime, metrics: dict[str, float]) -> None:
    (row,) = await session.query(queries.TOTALS)
    totals = {name: float(value) for name, value in row.items() if value is not None}
    hit, read = totals.get("blocks_hit_total", 0.0), totals.get("blocks_read_total", 0.0)
    before = session.totals
    if before is not None and (seconds := (at - before[0]).total_seconds()) > 0.05:
        for rate, total in _RATES.items():
            if totals.get(total, 0.0) >= before[1].get(total, float("inf")):
                metrics[rate] = (totals[total] - before[1][total]) / seconds
        hit -= before[1].get("blocks_hit_total", 0.0)
        read -= before[1].get("blocks_read_total", 0.0)
    if hit >= 0 and read >= 0 and hit + read > 0:
        metrics["cache_hit_ratio"] = hit / (hit + read)
    session.totals = (at, totals)
    metrics |= totals


async def _blocking(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    head = head_of(await session.query(queries.WAITING))
    if head is None:
        return
    who = head.session
    metrics |= {
        "blocked_sessions": float(head.blocked),
        "blocking_depth": float(head.depth),
        "longest_blocked_seconds": head.longest_seconds,
        "head_transaction_seconds": who["transaction_seconds"],
        "head_protected": float(is_protected(who, session.protect)),
    }
    facts |= {
        "head_pid": str(who["pid"]),
        "head_started": str(who["started"]),
        "head_application": str(who["application"] or ""),
        "head_user": str(who["user"] or ""),
        "head_state": str(who["state"] or ""),
        "head_query": normalised(str(who["query"] or "")),
    }


async def _crowd(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    rows = await session.query(queries.SESSIONS)
    session.spared = tuple(row["pid"] for row in rows if is_protected(row, session.protect))
    crowd = crowd_of(rows, session.protect)
    if crowd is None:
        return
    metrics |= crowd.metrics | {"crowd_pooled": float(await poolers.is_pooler(session, crowd.address))}
    facts |= {
        "crowd_application": crowd.application,
        "crowd_user": crowd.user,
        "crowd_address": crowd.address.partition("/")[0],
        "crowd_query": crowd.query,
        "crowd_query_hash": crowd.query_hash,
    }


async def _seldom(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """What a right is missing for is left out; everything else is told."""
    session.configured = await configuration.ask(session)
    (row,) = await session.query(queries.SELDOM)
    metrics |= {
        "autovacuum_enabled": float(row["autovacuum"]),
        "reserved_connections": float(row["reserved_connections"]),
        "may_end_sessions": float(bool(row["signals"])),
        "database_bytes": row["database_bytes"] or 0.0,
    }
    facts["not_read"] = _unread(row)
    session.autovacuum = bool(row["autovacuum"])
    for name in ("data_directory", "stray_file", "stray_refused"):
        facts.pop(name, None)
    await _tables(session, metrics, facts, others=True)
    if session.host is not None:
        await _of_the_host(session, metrics)


def _unread(row: Mapping[str, Any]) -> str:
    """What is not known for want of which right."""
    lacks = {
        "pg_read_all_stats": not row["sees_sessions"],
        "pg_read_all_settings": not row["sees_settings"],
        "CONNECT ON EVERY DATABASE": row["closed_databases"] > 0,
    }
    told = {"CONNECT ON EVERY DATABASE": f"CONNECT` on {row['closed_databases']} databases more"}
    return "; ".join(
        f"{right.gives} (needs `{told.get(right.what, f'{right.what}`')})" for right in LOOK if lacks.get(right.what)
    )


async def _tables(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str], *, others: bool) -> None:
    metrics |= {"dead_rows": 0.0, "dead_rows_ratio": 0.0, "bloated_seconds": 0.0}
    for name in ("bloated_table", "bloated_database"):
        facts.pop(name, None)
    table = await worst_table(session, room=others and metrics["connections_ratio"] < _CROWDED)
    metrics["autovacuum_enabled"] = float(session.autovacuum)
    if table is None:
        session.bloated = ("", 0.0)
        return
    metrics |= {
        "dead_rows": table["dead"],
        "dead_rows_ratio": table["dead"] / (table["dead"] + table["live"]),
        "table_bytes": table["bytes"],
    }
    metrics["autovacuum_enabled"] = float(session.autovacuum and table["autovacuum"])
    facts |= {"bloated_table": str(table["name"]), "bloated_database": str(table["database"])}
    which, present = f"{table['database']}:{table['name']}", asyncio.get_running_loop().time()
    if metrics["dead_rows_ratio"] <= BLOATED:
        session.bloated = ("", 0.0)
    elif session.bloated[0] != which:
        session.bloated = (which, present)
    if session.bloated[0]:
        metrics["bloated_seconds"] = present - session.bloated[1]


async def _of_the_host(session: PostgresSession, metrics: dict[str, float]) -> None:
    assert session.host is not None
    try:
        async with asyncio.timeout(hosting.HOST_SECONDS):
            limit = (await session.host.limits()).room_bytes
    except (WatchkeeperError, TimeoutError):
        return  # with the next one
    if limit:
        metrics["safe_max_connections"] = float(limit // 2 // _PER_CONNECTION_BYTES)


async def _failed(session: PostgresSession, found: Trouble, metrics: dict[str, float], facts: dict[str, str]) -> str:
    """Fill in what the failure itself tells, and how the host is. Returns the state in words."""
    state = await hosting.state_of(session.host)
    if found.category != "silent":  # that took its time already
        await _disk(session, metrics, facts)
    host = hosting.metrics_of(state, answered=session.answered)
    facts["error"] = found.category
    if host.get("host_running") == 0.0 or host.get("host_paused") == 1.0:
        session.ought_not_answer()
    silent = 0.0
    if session.silent_since is not None:
        silent = asyncio.get_running_loop().time() - session.silent_since
    answers = found.category not in ("silent", "refused", "lost")
    metrics |= host | {
        "responding": float(answers),
        "unresponsive_seconds": silent,
        "starting": float(found.category == "starting"),
    }
    # A silent server may still be up: only a refused connection, or a host that does not run, tells that it is down.
    if found.category != "silent" or host.get("host_running") == 0.0:
        metrics["up"] = float(answers)
    metrics["connections_forbidden"] = float(found.category == "forbidden")
    if found.category == "exhausted":
        metrics |= {"connections_exhausted": 1.0, "connections_ratio": 1.0}
    if session.host is None or state is None or state.status == "running":
        return _SAID.get(found.category, found.category)
    return hosting.stopped(session.host, state, host)


def _by(facts: Mapping[str, str]) -> str:
    """Who is at the head of the longest chain: whoever is asked whether it may be ended wants to know."""
    pid, application, user = (facts.get(f"head_{name}", "") for name in ("pid", "application", "user"))
    who = " of ".join(filter(None, (application, user)))
    return f" by {who or 'a session'} (pid {pid})" if pid else ""


def _summary(metrics: Mapping[str, float], facts: Mapping[str, str]) -> str:
    said = f"{metrics['connections']:.0f} of {metrics['max_connections']:.0f} connections"
    if blocked := metrics.get("blocked_sessions"):
        said += f", {blocked:.0f} blocked{_by(facts)}"
    return said


async def try_out(session: PostgresSession) -> Probe:
    """Write a row into a temporary table, read it back and commit; only read where changes are not permitted."""
    begun, at = time.perf_counter(), now()
    writes = session.resource.may_act
    what = "a row is written, read back and committed" if writes else "a catalogue is read"
    ok: bool | None
    error = None
    try:
        async with asyncio.timeout(2.0):
            (row,) = await session.query("SELECT pg_is_in_recovery() AS replica, count(*) AS classes FROM pg_class")
            if writes and not row["replica"]:
                error = await _write_and_read(session)
        ok = error is None
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        # Without the password nothing is learnt of whether it works.
        ok, error = (None if found.category in ("password", "denied") else False), str(found)
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)


async def _write_and_read(session: PostgresSession) -> str | None:
    """In one transaction: a temporary table is made, written and read, and a message goes into the WAL, so that the
    commit has to reach the disk. Nothing of it stays."""
    value = secrets.token_hex(16)
    await session.query(queries.WRITE_AND_READ.format(value=value))  # raises where what is read is not what was written
    return None
