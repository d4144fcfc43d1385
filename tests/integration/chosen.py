"""Which scenarios `make test` runs."""

SLOW = {
    "nginx-upstream-gone",
    "postgres-disk-full",
    "postgres-idle-in-transaction",
    "redis-memory-full-no-headroom",
    "shop-crash-loop",
    "shop-replica-errors",
    "network-link-choked",
    "network-packet-loss",
    "network-burst",
    "replica-partitioned",
    "network-slow-peer",
}
"""What takes longest to run, with what belongs to it: for `make bench`; `make test` stays under 20 minutes."""
