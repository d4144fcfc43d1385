"""An example of a reading: every metric and fact that rules and runbooks may name."""

from datetime import UTC, datetime

from watchkeeper.connectors import hosting
from watchkeeper.domain import Reading

SAMPLE = Reading(
    resource="docker/lab/http/checkout",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=0.004,
    metrics={
        "up": 1.0,
        "responding": 1.0,
        "starting": 0.0,
        "unresponsive_seconds": 0.0,
        "status": 200.0,
        "ready_status": 200.0,
        "healthy": 1.0,
        "ready": 1.0,
        "not_ready_seconds": 0.0,
        "failing": 0.0,
        "consecutive_failures": 0.0,
        "dependencies_down": 0.0,
        "parts": 2.0,
        "answer_seconds": 0.004,
        "p50_seconds": 0.004,
        "p95_seconds": 0.009,
        "usual_seconds": 0.004,
        "slowness_ratio": 1.0,
        "slow_limit_seconds": 0.8,
        "certificate_days": 60.0,
        "certificate_valid": 1.0,
        **hosting.RUNNING,
    },
    facts={"error": "", "dependency": "", "parts": "cache: ok, database: ok"},
    state="200 in 4 ms",
)
