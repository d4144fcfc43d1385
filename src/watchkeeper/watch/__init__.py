"""Readings → alerts → incidents: the sampler, rules, correlation, logs."""

from watchkeeper.watch.changes import Noticer, lately, told_lately
from watchkeeper.watch.correlation import incident_for, reach, relapse_of, root_of
from watchkeeper.watch.fleet import Fleet, Provider
from watchkeeper.watch.overrides import overridden
from watchkeeper.watch.watch import Watch

__all__ = [
    "Fleet",
    "Noticer",
    "Provider",
    "Watch",
    "incident_for",
    "lately",
    "overridden",
    "reach",
    "relapse_of",
    "root_of",
    "told_lately",
]
