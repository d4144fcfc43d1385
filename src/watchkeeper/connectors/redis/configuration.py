"""What a Redis is configured with, as far as it matters and is no secret."""

from collections.abc import Mapping

from watchkeeper.connectors.redis.figures import pairs
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import Reading
from watchkeeper.domain.change import STARTED

SETTINGS = (
    "maxmemory",
    "maxmemory-policy",
    "maxclients",
    "appendonly",
    "appendfsync",
    "save",
    "timeout",
    "tcp-keepalive",
    "busy-reply-threshold",
    "lua-time-limit",
    "min-replicas-to-write",
    "repl-backlog-size",
    "cluster-node-timeout",
    "client-output-buffer-limit",
    "protected-mode",
)
"""Asked for one by one: `CONFIG GET *` would also give passwords."""
_TOLD_BY_INFO = {"maxmemory": "maxmemory", "maxmemory_policy": "maxmemory-policy", "maxclients": "maxclients"}


async def ask(session: RedisSession) -> dict[str, str]:
    """CONFIG GET of each; empty where a server hides it (managed ones). Raises Trouble."""
    found: dict[str, str] = {}
    for reply in await session.pipeline([("CONFIG", "GET", name) for name in SETTINGS]):
        if session.granted(reply, "config|get") and isinstance(reply, list):
            found |= pairs(reply)  # pyright: ignore[reportUnknownArgumentType]
    return found


def metrics_of(found: Mapping[str, str]) -> dict[str, float]:
    """What rules need of it and INFO does not tell."""
    metrics = {"save_points": float(len(found["save"].split()) // 2)} if "save" in found else {}
    threshold = found.get("busy-reply-threshold") or found.get("lua-time-limit")
    if threshold and threshold.isdigit():
        metrics["busy_reply_threshold_seconds"] = int(threshold) / 1000
    if (wanted := found.get("min-replicas-to-write", "")).isdigit():
        metrics["min_replicas_to_write"] = float(wanted)
    if "appendonly" in found:
        metrics["aof_enabled"] = float(found["appendonly"] == "yes")
    return metrics


def configuration(found: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The whole of it: what CONFIG GET gave, and what INFO tells where it gave nothing. One start has one `run_id`."""
    values = {name: told[key] for key, name in _TOLD_BY_INFO.items() if key in told} | dict(found)
    if told.get("run_id"):
        values[STARTED] = told["run_id"]
    if "busy-reply-threshold" in values:
        values.pop("lua-time-limit", None)  # the same under its former name
    return values


def differs(told: Mapping[str, str], last: Reading | None) -> bool:
    """Whether INFO shows that something was changed since the last look: then the rest is asked for at once."""
    if last is None or not last.ok:
        return False
    policy, run = last.facts.get("maxmemory_policy"), last.facts.get("run_id")
    return (
        (policy is not None and policy != told.get("maxmemory_policy"))
        or (run is not None and run != told.get("run_id"))
        or _another(last, "maxmemory_bytes", told.get("maxmemory"))
        or _another(last, "maxclients", told.get("maxclients"))
    )


def _another(last: Reading, metric: str, told: str | None) -> bool:
    known = last.metrics.get(metric)
    return known is not None and told is not None and told.isdigit() and known != float(told)
