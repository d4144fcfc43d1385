"""Mergeable summaries of streams of numbers. No dependencies."""

from watchkeeper_monitor.histogram import Histogram

__all__ = ["Histogram"]
