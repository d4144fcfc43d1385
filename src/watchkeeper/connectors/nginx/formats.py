"""Access log lines, read by the format they are written in. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SHAPES = {
    "status": r"\d{3}",
    "request_time": r"[\d.]+",
    "upstream_response_time": r"[^\"\s]*(?:[,:] [^\"\s]+)*",
    "upstream_status": r"[^\"\s]*(?:[,:] [^\"\s]+)*",
    "upstream_addr": r"[^\"\s]*(?:[,:] [^\"\s]+)*",
    "remote_addr": r"\S+",
    "time_local": r"[^\]\"]+",
}
_KEPT = frozenset({*_SHAPES, "request", "request_uri", "uri", "http_user_agent"})
_UPSTREAM = frozenset({"upstream_addr", "upstream_status", "upstream_response_time"})
CHECKED = frozenset(
    {
        "health",
        "healthz",
        "healthcheck",
        "health-check",
        "health_check",
        "healthy",
        "live",
        "livez",
        "liveness",
        "ready",
    }
    | {"readyz", "readiness", "ping", "up", "status", "metrics", "nginx_status", "stub_status", "server-status"}
)
"""How paths end that machines ask again and again, whether or not anybody else comes."""
_MACHINES = ("kube-probe/", "ELB-HealthChecker/", "GoogleHC/", "Consul Health Check")
"""What callers are named that only check (Kubernetes, Elastic Load Balancing, Google Cloud, Consul)."""
NAME = "watchkeeper"
"""What we call ourselves in requests: our own are not counted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as far as its line tells. Times in seconds; None where the format does not hold them."""

    status: int
    seconds: float | None = None
    upstream_seconds: float | None = None
    upstream_status: int | None = None
    upstream: str = ""
    handed_on: bool | None = None
    """Whether something behind it was asked."""
    ours: bool = False
    check: bool = False
    """Whether it is a machine's question whether it is well, and nobody's visit."""


@lru_cache(maxsize=64)
def pattern(log_format: str) -> re.Pattern[str]:
    """What lines of a `log_format` look like.

    >>> pattern('$remote_addr $status $request_time').match('10.0.0.1 200 0.004')['request_time']
    '0.004'
    """
    parts, at, seen = list[str](), 0, set[str]()
    for found in _VARIABLE.finditer(log_format):
        name = found[1] or found[2]
        parts.append(re.escape(log_format[at : found.start()]))
        shape = _SHAPES.get(name, ".*?")
        parts.append(f"(?P<{name}>{shape})" if name in _KEPT and name not in seen else f"(?:{shape})")
        seen.add(name)
        at = found.end()
    return re.compile("^" + "".join(parts) + re.escape(log_format[at:]) + r"\s*$")


def entry(line: str, log_format: str) -> Entry | None:
    """The request of a line; None where it is no line of this format, or the format holds no status."""
    found = pattern(log_format).match(line)
    told = found.groupdict() if found else {}
    if not told.get("status"):
        return None
    upstream_status = _last(told.get("upstream_status"))
    return Entry(
        status=int(told["status"]),
        seconds=_number(told.get("request_time")),
        upstream_seconds=_sum(told.get("upstream_response_time")),
        upstream_status=int(upstream_status) if upstream_status.isdigit() else None,
        upstream=_last(told.get("upstream_addr")),
        handed_on=any(told[name].strip(" -") for name in names) if (names := _UPSTREAM & told.keys()) else None,
        ours=(told.get("http_user_agent") or "").startswith(NAME),
        check=(told.get("http_user_agent") or "").startswith(_MACHINES) or _path(told).rpartition("/")[2] in CHECKED,
    )


def _path(told: Mapping[str, str | None]) -> str:
    """What was asked for, without its question: from the request's line, else from a field of its own."""
    words = (told.get("request") or "").split()
    asked = words[1] if len(words) > 1 else told.get("request_uri") or told.get("uri") or ""
    return asked.partition("?")[0].rstrip("/").lower()


def _last(text: str | None) -> str:
    """Of what several servers were asked, in `a, b : c`, the last."""
    words = re.split(r"[,:] | : ", text) if text else []
    return words[-1].strip() if words and words[-1].strip() != "-" else ""


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _sum(text: str | None) -> float | None:
    """One request may ask several servers: `0.001, 0.020`."""
    numbers = [number for word in re.split(r"[,:\s]+", text or "") if (number := _number(word)) is not None]
    return sum(numbers) if numbers else None
