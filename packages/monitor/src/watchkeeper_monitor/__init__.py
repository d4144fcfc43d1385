"""What runs inside a model server: counts predictions in bounded memory, in well under a microsecond each."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchkeeper_monitor.histogram import Histogram

if TYPE_CHECKING:
    from watchkeeper_monitor.monitor import Monitor
    from watchkeeper_monitor.profile import Profile
    from watchkeeper_monitor.prometheus import ModelCollector
    from watchkeeper_monitor.reference import Drift, Reference
    from watchkeeper_monitor.summary import Summary
    from watchkeeper_monitor.wrapping import MonitorMiddleware

__all__ = ["Drift", "Histogram", "ModelCollector", "Monitor", "MonitorMiddleware", "Profile", "Reference", "Summary"]
_WHERE = {
    "ModelCollector": "prometheus",
    "Monitor": "monitor",
    "MonitorMiddleware": "wrapping",
    "Profile": "profile",
    "Drift": "reference",
    "Reference": "reference",
    "Summary": "summary",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
