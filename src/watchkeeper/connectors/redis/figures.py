"""The figures in what Redis says: INFO, CLIENT LIST."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SAFE_SHARE = 0.6
"""Of the container's memory limit for maxmemory. Measured: at 85 % of 256 MB with AOF, a rewrite under 5,000 writes a
second was killed for memory; 60 % leaves a fork its copied pages and the rewrite buffer."""

RAISE = 4
"""At most so many times the present maxmemory: where a machine has memory to spare, growth beyond is for a person."""


def info(text: str) -> dict[str, str]:
    """INFO's lines as a mapping."""
    return dict(line.split(":", 1) for line in text.splitlines() if line and line[0] != "#" and ":" in line)


def number(said: Mapping[str, str], name: str) -> float | None:
    """A figure of INFO, None where this server does not tell it."""
    try:
        return float(said[name])
    except (KeyError, ValueError):
        return None


def of_info(said: Mapping[str, str], memory_limit: int | None) -> dict[str, float]:
    """Metrics from one INFO. Figures that an older or other server does not tell are absent."""
    metrics: dict[str, float] = {}
    for name, key in _PLAIN.items():
        if (value := number(said, key)) is not None:
            metrics[name] = value
    used, most = metrics.get("used_memory_bytes"), metrics.get("maxmemory_bytes", 0.0)
    if used is not None and most > 0:
        metrics["used_memory_ratio"] = used / most
    if memory_limit:
        safe = int(SAFE_SHARE * memory_limit)
        metrics["safe_maxmemory_bytes"] = float(min(safe, RAISE * most) if most > 0 else safe)
        metrics["memory_limit_bytes"] = float(memory_limit)
    slots = metrics.get("maxclients", 0.0)
    if slots > 0 and "connected_clients" in metrics:
        metrics["connections_ratio"] = metrics["connected_clients"] / slots
        metrics["clients_exhausted"] = float(metrics["connected_clients"] >= slots)
    frag, resident = number(said, "allocator_frag_bytes"), number(said, "allocator_rss_bytes")
    if frag is not None and resident is not None:
        metrics["fragmentation_bytes"] = max(0.0, frag) + max(0.0, resident)
    metrics["refused_writes_total"] = sum(_count(said.get(f"errorstat_{code}", "")) for code in REFUSED)
    metrics["evicts"] = float(_evicts(said))
    metrics["is_replica"] = float(said.get("role") == "slave")
    if metrics["is_replica"]:
        metrics["replica_link_up"] = float(said.get("master_link_status") == "up")
    metrics["rdb_ok"] = float(said.get("rdb_last_bgsave_status", "ok") == "ok")
    metrics["aof_write_ok"] = float(said.get("aof_last_write_status", "ok") == "ok")
    metrics["aof_rewrite_ok"] = float(said.get("aof_last_bgrewrite_status", "ok") == "ok")
    metrics |= _replication(said)
    metrics["aof_ok"] = float(
        said.get("aof_last_write_status", "ok") == "ok" and said.get("aof_last_bgrewrite_status", "ok") == "ok"
    )
    hits, misses = metrics.get("keyspace_hits_total", 0.0), metrics.get("keyspace_misses_total", 0.0)
    if hits + misses > 0:
        metrics["hit_ratio"] = hits / (hits + misses)
    metrics["keys"] = float(_in_all(said, "keys"))
    return metrics


def _evicts(said: Mapping[str, str]) -> bool:
    """Whether there is anything it may evict: `volatile-*` takes only keys with a TTL, and refuses writes like
    `noeviction` where there is none (redis.io/docs, "Key eviction")."""
    policy = said.get("maxmemory_policy", "noeviction")
    return policy != "noeviction" and (not policy.startswith("volatile-") or _in_all(said, "expires") > 0)


def _in_all(said: Mapping[str, str], count: str) -> int:
    """A count of the key space, over all databases."""
    return sum(_keys(value, count) for key, value in said.items() if key.startswith("db") and key[2:].isdigit())


def _replication(said: Mapping[str, str]) -> dict[str, float]:
    """Of a replica, whether it takes over everything anew; of a primary, how far the replicas are behind."""
    metrics: dict[str, float] = {}
    if said.get("role") == "slave":
        metrics["replica_syncing"] = float(said.get("master_sync_in_progress") == "1")
        return metrics
    offset = number(said, "master_repl_offset")
    behind = [
        dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        for key, value in said.items()
        if key.startswith("slave") and key[5:].isdigit()
    ]
    online = [one for one in behind if one.get("state") == "online"]
    if online and offset is not None:
        metrics["replica_lag_bytes"] = max(offset - float(one.get("offset", offset)) for one in online)
        metrics["replica_lag_seconds"] = max(float(one.get("lag", 0)) for one in online)
    return metrics


_PLAIN = {
    "used_memory_bytes": "used_memory",
    "used_memory_rss_bytes": "used_memory_rss",
    "maxmemory_bytes": "maxmemory",
    "connected_clients": "connected_clients",
    "maxclients": "maxclients",
    "blocked_clients": "blocked_clients",
    "rejected_connections": "rejected_connections",
    "evicted_keys_total": "evicted_keys",
    "expired_keys_total": "expired_keys",
    "keyspace_hits_total": "keyspace_hits",
    "keyspace_misses_total": "keyspace_misses",
    "commands_total": "total_commands_processed",
    "errors_total": "total_error_replies",
    "cpu_seconds_total": "used_cpu_user",
    "uptime_seconds": "uptime_in_seconds",
    "loading": "loading",
    "aof_enabled": "aof_enabled",
    "unsaved_changes": "rdb_changes_since_last_save",
    "replicas": "connected_slaves",
    "lazyfree_pending": "lazyfree_pending_objects",
    "repl_backlog_bytes": "repl_backlog_size",
    "replicated_bytes_total": "master_repl_offset",
    "full_syncs_total": "sync_full",
    "failed_resyncs_total": "sync_partial_err",
    "forks_total": "total_forks",
}
RATES = {
    "ops_per_second": "commands_total",
    "evicted_per_second": "evicted_keys_total",
    "expired_per_second": "expired_keys_total",
    "errors_per_second": "errors_total",
    "rejected_per_second": "rejected_connections",
    "replicated_bytes_per_second": "replicated_bytes_total",
}
REFUSED = ("READONLY", "NOREPLICAS", "MISCONF")
"""What it says to a write that it takes from nobody, however it was set up; full memory has figures of its own."""


def _count(said: str) -> float:
    """`count=12`"""
    number = said.removeprefix("count=")
    return float(number) if number.isdigit() else 0.0


def _keys(said: str, count: str) -> int:
    """`keys=5,expires=0,avg_ttl=0`"""
    found = dict(part.split("=", 1) for part in said.split(",") if "=" in part).get(count, "0")
    return int(found) if found.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Client:
    """One line of CLIENT LIST."""

    id: int
    address: str
    """The peer's IP, without port."""
    name: str
    idle: int
    """Seconds since its last command."""
    flags: str
    subscriptions: int
    in_transaction: bool

    @property
    def killable(self) -> bool:
        """A plain client that waits for nothing: no replica, subscriber, monitor, blocked one, transaction, or us."""
        # N is the whole of a plain client's flags. A client that blocks, subscribes or replicates bears others.
        return self.flags == "N" and not self.subscriptions and not self.in_transaction and self.name != "watchkeeper"


def clients(text: str) -> list[Client]:
    """CLIENT LIST."""
    return [
        _client(dict(part.split("=", 1) for part in line.split(" ") if "=" in part))
        for line in text.splitlines()
        if line
    ]


def _client(said: Mapping[str, str]) -> Client:
    return Client(
        id=int(said["id"]),
        address=peer(said.get("addr", "")),
        name=said.get("name", ""),
        idle=int(said.get("idle", 0)),
        flags=said.get("flags", ""),
        subscriptions=sum(int(said.get(key, 0)) for key in ("sub", "psub", "ssub")),
        in_transaction=int(said.get("multi", -1)) >= 0,
    )


def peer(address: str) -> str:
    """The IP in `10.0.0.5:4711` or `[::1]:4711`, and of an IPv4 address in IPv6 clothes."""
    return address.rpartition(":")[0].strip("[]").removeprefix("::ffff:")


@dataclass(frozen=True, slots=True)
class Crowd:
    """The address that holds most of the idle connections."""

    address: str
    connections: int
    idle_seconds: float
    """Median."""


def crowd(listed: Iterable[Client], *, min_idle: int = 1) -> Crowd | None:
    """Who holds most of the idle plain connections; None where nobody does."""
    by_address: defaultdict[str, list[int]] = defaultdict(list)
    for client in listed:
        if client.killable and client.idle >= min_idle:
            by_address[client.address].append(client.idle)
    if not by_address:
        return None
    address, idle = max(by_address.items(), key=lambda entry: len(entry[1]))
    return Crowd(address, len(idle), statistics.median(idle))


def pairs(reply: Sequence[str]) -> dict[str, str]:
    """A flat reply (CONFIG GET) as a mapping."""
    return dict(zip(reply[::2], reply[1::2], strict=False))
