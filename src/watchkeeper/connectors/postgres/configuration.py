"""What a PostgreSQL is configured with, as far as it matters and is no secret."""

from watchkeeper.connectors.postgres import queries
from watchkeeper.connectors.postgres.session import PostgresSession

SETTINGS = (
    "autovacuum",
    "checkpoint_timeout",
    "default_transaction_read_only",
    "effective_cache_size",
    "fsync",
    "full_page_writes",
    "hot_standby_feedback",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "log_min_duration_statement",
    "maintenance_work_mem",
    "max_connections",
    "max_slot_wal_keep_size",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "shared_buffers",
    "statement_timeout",
    "superuser_reserved_connections",
    "synchronous_commit",
    "synchronous_standby_names",
    "wal_level",
    "work_mem",
)
"""Everybody may read these. In the server's own units; of what may be said for a role or a database alone, what holds
for whom we are there."""


async def ask(session: PostgresSession) -> dict[str, str]:
    """Their values, and when it was started. Raises Trouble."""
    rows = await session.query(queries.SETTINGS, {"names": list(SETTINGS)})
    return {row["name"]: str(row["value"]) for row in rows}
