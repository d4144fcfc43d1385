"""Faults and controls of PostgreSQL."""

from watchkeeper_lab.faults.postgres import bloat, disk, process, sessions, settings
from watchkeeper_lab.faults.site import Injector

INJECTORS: dict[str, Injector] = {
    "postgres-connections-exhausted": sessions.exhausted,
    "postgres-idle-in-transaction": sessions.idle_in_transaction,
    "postgres-blocking-chain": sessions.blocking_chain,
    "postgres-bloat": bloat.bloated,
    "postgres-killed": process.killed,
    "postgres-disk-full": disk.full,
    "postgres-read-only": settings.read_only,
    "postgres-connections-forbidden": settings.forbidden,
    "postgres-inodes-out": settings.out_of_inodes,
    "postgres-busy": sessions.busy,
    "postgres-bulk-delete": bloat.bulk_delete,
}
