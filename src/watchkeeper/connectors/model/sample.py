"""An example of a reading: every metric and fact that rules and runbooks may name."""

from datetime import UTC, datetime

from watchkeeper.domain import Reading

SAMPLE = Reading(
    resource="monitor/production/model/support-bot",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=0.003,
    metrics={
        "replicas": 2.0,
        "versions": 1.0,
        "predictions_per_second": 31.0,
        "error_ratio": 0.001,
        "error_limit_ratio": 0.05,
        "latency_p50_seconds": 0.012,
        "latency_p95_seconds": 0.031,
        "latency_limit_seconds": 0.2,
        "memory_bytes": 400e6,
        "quiet_seconds": 2.0,
        "usual_latency_p95_seconds": 0.03,
        "slowness_ratio": 1.03,
        "usual_error_ratio": 0.001,
        "usual_predictions_per_second": 29.0,
        "expected_predictions": 58.0,
        "missing_ratio": 0.0,
        "missing_limit_ratio": 0.2,
        "missing_features": 0.0,
        "accuracy_ratio": 0.91,
        "accuracy_low_ratio": 0.89,
        "labels": 1000.0,
        "ndcg_ratio": 0.71,
        "quality_drop_ratio": 0.0,
        "drifted_columns": 0.0,
        "largest_psi": 0.0,
    },
    facts={"versions": "1.4.0 (2)", "errors": "", "slow": "", "missing": "", "worse": "", "drifted": ""},
    state="31/s, p95 31 ms, accuracy 91%",
)
