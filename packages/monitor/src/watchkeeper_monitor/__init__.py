"""What runs inside a model server: counts predictions in bounded memory, in well under a microsecond each."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchkeeper_monitor.histogram import Histogram

if TYPE_CHECKING:
    from watchkeeper_monitor.context import request
    from watchkeeper_monitor.log import Log
    from watchkeeper_monitor.monitor import Monitor
    from watchkeeper_monitor.otlp import Otlp
    from watchkeeper_monitor.profile import Profile
    from watchkeeper_monitor.prometheus import ModelCollector
    from watchkeeper_monitor.reference import Drift, Reference
    from watchkeeper_monitor.sinks import RotatingFile, StandardLogging, Stdout, Structlog
    from watchkeeper_monitor.summary import Summary
    from watchkeeper_monitor.wrapping import MonitorMiddleware

__all__ = [
    "Drift",
    "Histogram",
    "Log",
    "ModelCollector",
    "Monitor",
    "MonitorMiddleware",
    "Otlp",
    "Profile",
    "Reference",
    "RotatingFile",
    "StandardLogging",
    "Stdout",
    "Structlog",
    "Summary",
    "request",
]
_WHERE = {
    "Log": "log",
    "ModelCollector": "prometheus",
    "Monitor": "monitor",
    "MonitorMiddleware": "wrapping",
    "Otlp": "otlp",
    "Profile": "profile",
    "Drift": "reference",
    "Reference": "reference",
    "RotatingFile": "sinks",
    "StandardLogging": "sinks",
    "Stdout": "sinks",
    "Structlog": "sinks",
    "Summary": "summary",
    "request": "context",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
