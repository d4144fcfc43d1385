"""What keeps old row versions from being removed: the oldest transaction, prepared transaction, slot or standby; and
the age at which the server would stop."""

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, MaxLen

from watchkeeper.connectors.postgres import ending, preconditions, queries
from watchkeeper.connectors.postgres.figures import is_protected, normalised
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.domain import Effect, Reading, Refused, tool
from watchkeeper.domain.rights import grants

_AGE_LIMIT = 2_000_000_000
"""Transactions until the server stops taking writes (documentation, "Preventing Transaction ID Wraparound")."""
_AGES = """
SELECT datname AS name, age(datfrozenxid)::float8 AS transactions, mxid_age(datminmxid)::float8 AS multixacts
FROM pg_database ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC LIMIT 1
"""
_HOLDERS = """
SELECT * FROM (
  SELECT CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'transaction' END AS kind, pid, usename AS user,
    application_name AS application, backend_type, backend_start::text AS started, state, query, '' AS name,
    age(coalesce(backend_xmin, backend_xid))::float8 AS age,
    coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8 AS seconds
  FROM pg_stat_activity WHERE coalesce(backend_xmin, backend_xid) IS NOT NULL AND pid <> pg_backend_pid()
    AND backend_type IN ('client backend', 'walsender')
  UNION ALL
  SELECT 'prepared', 0, owner, '', '', '', '', '', gid || ' in ' || database, age(transaction)::float8,
    extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts
  UNION ALL
  SELECT 'slot', 0, '', '', '', '', '', '', slot_name, greatest(age(xmin), age(catalog_xmin))::float8, 0
  FROM pg_replication_slots WHERE coalesce(xmin, catalog_xmin) IS NOT NULL
) AS holders ORDER BY age DESC, seconds DESC LIMIT 20
"""
LONG_SECONDS = 300.0
"""From so long on a transaction is old."""
_MANY = 1_000_000.0
"""Transactions; a slot or a standby has no clock of its own that tells for how long it has held them back."""
CARRIED = (
    "transaction_age_ratio",
    "multixact_age_ratio",
    "horizon_age",
    "horizon_seconds",
    "horizon_holds",
    "horizon_protected",
    "prepared_seconds",
)
CARRIED_FACTS = ("oldest_database", "horizon", "horizon_kind", "horizon_pid", "horizon_started", "prepared")


async def look_at_horizon(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Ages, and what holds the oldest row versions. Raises Trouble."""
    (oldest,) = await session.query(_AGES)
    metrics |= {
        "transaction_age_ratio": oldest["transactions"] / _AGE_LIMIT,
        "multixact_age_ratio": oldest["multixacts"] / _AGE_LIMIT,
        "horizon_age": 0.0,
        "horizon_seconds": 0.0,
        "horizon_holds": 0.0,
        "horizon_protected": 0.0,
        "prepared_seconds": 0.0,
    }
    facts |= dict.fromkeys(CARRIED_FACTS, "") | {"oldest_database": str(oldest["name"])}
    rows = await session.query(_HOLDERS)
    prepared = [row for row in rows if row["kind"] == "prepared"]
    if prepared:
        first = max(prepared, key=lambda row: row["seconds"])
        metrics["prepared_seconds"] = first["seconds"]
        facts["prepared"] = f"{first['name']}, by {first['user']}, prepared {_long(first['seconds'])} ago"
    if rows:
        _tell(session, rows[0], metrics, facts)
    facts["oldest_database"] += f"; held back by {facts['horizon']}" if facts["horizon"] else ""


def _tell(session: PostgresSession, row: Mapping[str, Any], metrics: dict[str, float], facts: dict[str, str]) -> None:
    holds = row["seconds"] > LONG_SECONDS if row["kind"] in ("transaction", "prepared") else row["age"] > _MANY
    metrics |= {
        "horizon_age": row["age"],
        "horizon_seconds": row["seconds"],
        "horizon_holds": float(holds),
        "horizon_protected": float(row["kind"] != "transaction" or is_protected(row, session.protect)),
    }
    facts["horizon_kind"] = str(row["kind"])
    if row["kind"] == "transaction":
        facts |= {"horizon_pid": str(row["pid"]), "horizon_started": str(row["started"])}
        who = row["application"] or row["user"]
        facts["horizon"] = (
            f"a transaction of {who} (process {row['pid']}), open for {_long(row['seconds'])}, {row['state']}: "
            f"{normalised(str(row['query'] or ''))}"
        )
    elif row["kind"] == "prepared":
        facts["horizon"] = f"the prepared transaction {row['name']}, for {_long(row['seconds'])}"
    elif row["kind"] == "slot":
        facts["horizon"] = f"the replication slot {row['name']}"
    else:
        facts["horizon"] = f"a query on the standby {row['application']} (hot_standby_feedback)"


def _long(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def holder_may_be_ended(reading: Reading, arguments: Mapping[str, Any]) -> str | None:
    """A session's transaction, old, and not protected."""
    kind = reading.facts["horizon_kind"]
    if kind != "transaction":
        return f"What holds them back is {reading.facts['horizon'] or 'not a transaction'}: that is for a person."
    if reading.metrics["horizon_seconds"] < LONG_SECONDS:
        return f"The oldest transaction is {reading.metrics['horizon_seconds']:.0f} s old only."
    if reading.metrics["horizon_protected"] > 0:
        return f"It is protected ({reading.facts['horizon']}): it takes long by nature, and is waited for."
    return None


@tool(
    Effect.DISRUPTIVE,
    settle=30.0,
    timeout=15.0,
    requires=(preconditions.is_primary, holder_may_be_ended),
    rights=grants("pg_read_all_stats", "pg_signal_backend"),
    by_hand="{inside}psql -U postgres -c 'SELECT pg_terminate_backend({pid})'",
)
async def postgres_end_old_transaction(
    session: PostgresSession, pid: Annotated[int, Ge(1)], started: Annotated[str, MaxLen(64)]
) -> dict[str, int]:
    """End the session whose transaction is the oldest there is: until then no row version newer than it can be removed.
    What it had not committed is rolled back. `started` is when the session began, so that nobody else is hit."""
    rows = [row for row in await ending.of_others(session, queries.SESSIONS) if row["pid"] == pid]
    if not rows or rows[0]["started"] != started:
        raise Refused(f"Session {pid} is not there (any more).")
    if not rows[0]["transaction_seconds"]:
        raise Refused(f"Session {pid} has no transaction open (any more).")
    if is_protected(rows[0], session.protect):
        raise Refused(f"Session {pid} is protected: it takes long by nature, and is waited for.")
    ended = await ending.terminate(session, rows)
    session.soon("standing")
    session.soon("seldom")
    return {"ended": ended}
