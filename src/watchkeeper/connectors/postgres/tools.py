"""What can be done with a PostgreSQL. Ending sessions is in `ending`, what is done with tables in `tables`."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen

from watchkeeper.connectors import hosting
from watchkeeper.connectors.postgres import ending, preconditions, queries
from watchkeeper.connectors.postgres.admittance import postgres_allow_connections, postgres_allow_writes
from watchkeeper.connectors.postgres.checkpoints import postgres_limit_slot_wal, postgres_set_max_wal_size
from watchkeeper.connectors.postgres.disk import postgres_move_stray_file
from watchkeeper.connectors.postgres.figures import crowd_of, head_of, is_protected, normalised
from watchkeeper.connectors.postgres.horizon import postgres_end_old_transaction
from watchkeeper.connectors.postgres.replication import (
    postgres_drop_replication_slot,
    postgres_end_replay_blocker,
    postgres_resume_replay,
)
from watchkeeper.connectors.postgres.session import PostgresSession, until_it_answers
from watchkeeper.connectors.postgres.shell import psql
from watchkeeper.connectors.postgres.tables import postgres_enable_autovacuum, postgres_vacuum
from watchkeeper.connectors.postgres.trouble import Trouble, denied
from watchkeeper.domain import Effect, Refused, Tool, tool
from watchkeeper.domain.rights import calls, grants, machine
from watchkeeper.domain.tool import Limit
from watchkeeper.hosts.rights import EXEC, RESTARTS

Seconds = Annotated[float, Ge(1), Le(86400)]
_SEES = grants("pg_read_all_stats")
_ENDS = (
    *grants("pg_read_all_stats", "pg_signal_backend"),
    *calls(*EXEC, gives="a way in where every slot is taken and no session of ours is open"),
    *machine("root, or its own user", gives="the same at a PostgreSQL that runs without a container"),
)
"""Sessions of superusers are ended by superusers alone."""
WHERE_FULL = "  # where no slot is left: with -U and a superuser, for whom some are kept"
"""`superuser_reserved_connections` (postgresql.org/docs, "Connections and Authentication")."""


async def start_count(session: PostgresSession) -> dict[str, Any]:
    """Changes with every start of what it runs on."""
    if session.host is None:
        (row,) = await session.query("SELECT pg_postmaster_start_time()::text AS started")
        return {"started": row["started"]}
    return await hosting.start_count(session.host)


async def crowded(session: PostgresSession) -> bool:
    """Whether connections are short: true before sessions are ended, false after."""
    try:
        (row,) = await session.query(queries.OVERVIEW)
    except Trouble as problem:
        if problem.category == "exhausted":
            return True
        raise
    return bool(row["connections"] > preconditions.SHORT * row["max_connections"])


async def max_connections(session: PostgresSession) -> dict[str, Any]:
    """The setting, and whether ALTER SYSTEM had set it."""
    (row,) = await session.query(
        "SELECT setting::int AS value, sourcefile LIKE '%%postgresql.auto.conf' AS altered, "
        "pg_has_role(current_user, 'pg_read_all_settings', 'usage') AS told FROM pg_settings WHERE name = %(name)s",
        {"name": "max_connections"},
    )
    if not row["told"]:  # an undo would take back what somebody else has set
        raise denied("pg_read_all_settings", "whether ALTER SYSTEM has set max_connections is not told")
    return {"value": row["value"], "altered": bool(row["altered"])}


@tool(Effect.READ, timeout=5.0, rights=_SEES, by_hand=psql("SELECT * FROM pg_stat_activity"))
async def postgres_activity(
    session: PostgresSession, count: Annotated[int, Ge(1), Le(500)] = 30
) -> list[dict[str, Any]]:
    """Who does what, for how long: sessions, the longest transaction first. Literals in statements are left out."""
    rows = sorted(await ending.of_others(session, queries.SESSIONS), key=lambda row: -row["transaction_seconds"])
    return [_told(row) for row in rows[:count]]


@tool(
    Effect.READ,
    timeout=5.0,
    rights=_SEES,
    by_hand=psql("SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity"),
)
async def postgres_locks(session: PostgresSession) -> dict[str, Any]:
    """Who waits for whom: the session at the head of the largest blocking tree, and all that wait, with whom for."""
    rows = await ending.of_others(session, queries.WAITING)
    head = head_of(rows)
    return {
        "head": _told(head.session) | {"blocked": head.blocked, "depth": head.depth} if head else None,
        "waiting": [_told(row) | {"waits_for": row["blockers"]} for row in rows if row["blockers"]],
    }


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("pid", "user", "application", "database", "address", "state", "waits_for", "started")
    seconds = {name: round(row[name], 1) for name in ("transaction_seconds", "query_seconds") if name in row}
    return {name: row[name] for name in names if name in row} | seconds | {"query": normalised(row["query"] or "")}


@tool(
    Effect.DISRUPTIVE,
    state=crowded,
    settle=3.0,
    timeout=20.0,
    requires=(preconditions.short_of_slots, preconditions.crowd_works, preconditions.long_enough),
    rights=_ENDS,
    by_hand=psql(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' "
        "AND query_start < now() - make_interval(secs => {min_seconds}) AND pid <> pg_backend_pid()",
        then=WHERE_FULL,
    ),
)
async def postgres_kill_long_queries(
    session: PostgresSession,
    min_seconds: Seconds = 5.0,
    query_hash: Annotated[str, MaxLen(32)] = "",
) -> dict[str, Any]:
    """End the statement that holds most of the connections, in every session that has run it for long; by default the
    largest group there is now. Statements are cancelled; a session that keeps its slot all the same is ended while
    slots are short. Dumps, backups, maintenance and protected applications are left alone."""
    freed = await ending.get_in(session)
    if not query_hash:
        crowd = crowd_of(await ending.of_others(session, queries.SESSIONS), session.protect)
        if crowd is None or crowd.state != "active" or crowd.sessions < 2:
            raise Refused("No group of sessions runs the same statement.")
        query_hash = crowd.query_hash
    rows = await ending.matching(session, query_hash=query_hash, state="active", min_seconds=min_seconds)
    if not rows:
        raise Refused(f"No session has run that statement for {min_seconds:g} s.")
    left = await ending.cancel(session, rows)
    ended = await ending.terminate(session, left) if left and await crowded(session) else 0
    return {"cancelled": len(rows), "ended": ended, "freed_to_get_in": freed}


@tool(
    Effect.DISRUPTIVE,
    state=crowded,
    settle=3.0,
    timeout=20.0,
    requires=(
        preconditions.short_of_slots,
        preconditions.crowd_idles,
        preconditions.not_of_a_pooler,
        preconditions.long_enough,
    ),
    rights=_ENDS,
    by_hand=psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' "
        "AND application_name = {application} AND usename = {user} "
        "AND state_change < now() - make_interval(secs => {min_seconds})",
        then=WHERE_FULL,
    ),
)
async def postgres_kill_idle_sessions(
    session: PostgresSession,
    application: Annotated[str, MaxLen(63)],
    user: Annotated[str, MaxLen(63)],
    min_seconds: Seconds = 5.0,
) -> dict[str, Any]:
    """End the idle sessions of one application and user that have been idle for so long: connections nobody gave back.
    They hold no transaction; whoever works reconnects."""
    freed = await ending.get_in(session)
    idle = await ending.matching(session, state="idle", min_seconds=min_seconds)
    rows = [row for row in idle if (row["application"] or "", row["user"] or "") == (application, user)]
    if not rows:
        raise Refused(f"No session of {application or user} has been idle for {min_seconds:g} s.")
    return {"ended": await ending.terminate(session, rows), "freed_to_get_in": freed}


@tool(
    Effect.DISRUPTIVE,
    settle=3.0,
    timeout=15.0,
    requires=(preconditions.idles_in_transaction, preconditions.crowd_idles_in_transaction),
    rights=grants("pg_read_all_stats", "pg_signal_backend"),
    by_hand=psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
        "AND {application} IN ('', application_name) AND {user} IN ('', usename) "
        "AND state_change < now() - make_interval(secs => {min_seconds}) AND (NOT {only_blocking} OR pid IN "
        "(SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity))",
        then=WHERE_FULL,
    ),
)
async def postgres_kill_idle_in_transaction(
    session: PostgresSession,
    min_seconds: Seconds = 60.0,
    only_blocking: bool = False,
    application: Annotated[str, MaxLen(63)] = "",
    user: Annotated[str, MaxLen(63)] = "",
) -> dict[str, Any]:
    """End sessions that opened a transaction and have done nothing for so long: their locks and old row versions stay
    until they go. What they had not committed is rolled back. `only_blocking`: only those that others wait for;
    `application`, `user`: only theirs, where it is they that hold the connections."""
    rows = await ending.matching(session, state="idle in transaction", min_seconds=min_seconds)
    rows = [row for row in rows if application in ("", row["application"] or "") and user in ("", row["user"] or "")]
    if only_blocking:
        waiting = await ending.of_others(session, queries.WAITING)
        blockers = {pid for row in waiting for pid in row["blockers"]}
        rows = [row for row in rows if row["pid"] in blockers]
    if not rows:
        whose = f" of {application or user}" if application or user else ""
        whom = " that others wait for" if only_blocking else ""
        raise Refused(f"No session{whose}{whom} has idled in a transaction for {min_seconds:g} s.")
    return {"ended": await ending.terminate(session, rows)}


@tool(
    Effect.DISRUPTIVE,
    settle=3.0,
    timeout=15.0,
    requires=(preconditions.someone_waits, preconditions.head_may_be_ended),
    rights=grants("pg_read_all_stats", "pg_signal_backend"),
    by_hand=psql("SELECT pg_terminate_backend({pid})"),
)
async def postgres_kill_blocker(
    session: PostgresSession, pid: Annotated[int, Ge(1)], started: Annotated[str, MaxLen(64)]
) -> dict[str, Any]:
    """End the session at the head of a blocking chain: it waits for nobody, and others wait for it. `started` is when
    it began, so that nobody else is hit. A statement at work is cancelled first."""
    head = head_of(await ending.of_others(session, queries.WAITING))
    if head is None or head.session["pid"] != pid or head.session["started"] != started:
        raise Refused(f"Session {pid} is not at the head of a blocking chain (any more).")
    if is_protected(head.session, session.protect):
        raise Refused(f"Session {pid} is protected: it takes long by nature, and is waited for.")
    rows = [head.session]
    if head.session["state"] == "active":
        left = await ending.cancel(session, rows)
        still = head_of(await ending.of_others(session, queries.WAITING))
        if not left or still is None or still.session["pid"] != pid:
            return {"cancelled": 1, "ended": 0, "blocked": head.blocked}
    return {"cancelled": 0, "ended": await ending.terminate(session, rows), "blocked": head.blocked}


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=15.0,
    timeout=60.0,
    requires=(hosting.has_a_host,),
    rights=RESTARTS,
    by_hand="{restart}",
)
async def postgres_restart(session: PostgresSession) -> dict[str, Any]:
    """Restart the server and wait until it answers. What is committed stays; open transactions are rolled back."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    await session.host.restart()
    await session.aclose()
    await until_it_answers(session, 40.0)
    return await start_count(session)


@tool(
    Effect.DISRUPTIVE,
    state=max_connections,
    settle=15.0,
    timeout=60.0,
    requires=(hosting.has_a_host, preconditions.load_is_real, preconditions.leaves_memory),
    rights=(*grants("pg_read_all_settings", "ALTER SYSTEM ON PARAMETER max_connections"), *RESTARTS),
    by_hand=psql("ALTER SYSTEM SET max_connections = {value}", then=" && {restart}"),
    limits=(Limit("max_connections", "connections"),),
)
async def postgres_scale_connections(
    session: PostgresSession, value: Annotated[int, Ge(20), Le(10000)]
) -> dict[str, Any]:
    """Allow more connections. The server reads `max_connections` only when it starts, so it is restarted: every session
    ends. Each connection costs memory; a pooler is the better answer where there is time."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    before = await max_connections(session)
    await session.query(f"ALTER SYSTEM SET max_connections = {int(value)}")
    await session.host.restart()
    await session.aclose()
    await until_it_answers(session, 40.0)
    return {"before": before["value"], "now": (await max_connections(session))["value"]}


@postgres_scale_connections.undo
async def restore_connections(session: PostgresSession, before: dict[str, Any]) -> None:
    """The setting as it was, with another restart."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    change = f"SET max_connections = {int(before['value'])}" if before["altered"] else "RESET max_connections"
    await session.query(f"ALTER SYSTEM {change}")
    await session.host.restart()
    await session.aclose()
    await until_it_answers(session, 40.0)


TOOLS: tuple[Tool[PostgresSession], ...] = (
    postgres_activity,
    postgres_locks,
    postgres_kill_long_queries,
    postgres_kill_idle_sessions,
    postgres_kill_idle_in_transaction,
    postgres_kill_blocker,
    postgres_vacuum,
    postgres_enable_autovacuum,
    postgres_move_stray_file,
    postgres_end_old_transaction,
    postgres_resume_replay,
    postgres_end_replay_blocker,
    postgres_set_max_wal_size,
    postgres_limit_slot_wal,
    postgres_drop_replication_slot,
    postgres_scale_connections,
    postgres_allow_writes,
    postgres_allow_connections,
    postgres_restart,
)
