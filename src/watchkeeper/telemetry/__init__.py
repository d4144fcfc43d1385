"""Structured logs, and our own metrics."""

from watchkeeper.telemetry.logging import configure_logging
from watchkeeper.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logging"]
