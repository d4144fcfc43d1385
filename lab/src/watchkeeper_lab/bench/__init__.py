"""The benchmark: every fault and control in random order, each judged by the oracle, and the baselines besides."""

from watchkeeper_lab.bench.compare import compare, read
from watchkeeper_lab.bench.measure import bench, describe, write
from watchkeeper_lab.bench.schedule import SUITES, Order, schedule
from watchkeeper_lab.bench.tables import tables

__all__ = ["SUITES", "Order", "bench", "compare", "describe", "read", "schedule", "tables", "write"]
