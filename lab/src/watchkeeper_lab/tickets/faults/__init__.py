"""What breaks the support desk, and what only looks like it. What breaks every Redis and PostgreSQL breaks its own."""

from watchkeeper_lab.faults import controls as common
from watchkeeper_lab.faults.postgres import bloat, sessions
from watchkeeper_lab.faults.postgres import process as postgres
from watchkeeper_lab.faults.redis import process as redis
from watchkeeper_lab.faults.site import Injector
from watchkeeper_lab.tickets.faults import broker, controls, desk, pages, several

INJECTORS: dict[str, Injector] = {
    "redis-memory-full-headroom": broker.full,
    "redis-clients-exhausted": broker.clients,
    "redis-killed": redis.killed,
    "postgres-blocking-chain": sessions.blocking_chain,
    "postgres-idle-in-transaction": sessions.idle_in_transaction,
    "postgres-killed": postgres.killed,
    "nginx-configuration-broken": pages.broken_configuration,
    "web-replica-errors": desk.broken,
    "haproxy-killed": desk.gate_killed,
    "haproxy-backend-gone": desk.all_killed,
    "worker-gone": desk.workers_killed,
    "pooler-exhausted": desk.pool_exhausted,
    "redis-full-and-postgres-chain": several.full_and_chain,
    "cascade-outbox-locked": several.outbox_locked,
    "healthy": common.nothing,
    "load-peak": controls.peak,
    "noisy-neighbour": common.neighbour,
    "deployment": common.deployment,
    "self-recovering": broker.over_and_back,
    "postgres-busy": sessions.busy,
    "postgres-bulk-delete": bloat.bulk_delete,
    "stopped-on-purpose": redis.stopped,
    "queue-burst": controls.burst,
}
