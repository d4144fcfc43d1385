"""Readings → alerts → incidents: the sampler, rules, correlation, logs."""

from watchkeeper.watch.changes import KINDS as CHANGES
from watchkeeper.watch.changes import Noticer, concerned, lately, meanwhile, told_lately
from watchkeeper.watch.correlation import incident_for, reach, relapse_of, root_of
from watchkeeper.watch.fleet import Fleet, Provider
from watchkeeper.watch.ledger import drift
from watchkeeper.watch.outside import Outside
from watchkeeper.watch.overrides import overridden
from watchkeeper.watch.stopped import stopped_cause
from watchkeeper.watch.turning import Turns
from watchkeeper.watch.unseen import Unseen
from watchkeeper.watch.watch import Watch

__all__ = [
    "CHANGES",
    "Fleet",
    "Noticer",
    "Outside",
    "Provider",
    "Turns",
    "Unseen",
    "Watch",
    "concerned",
    "drift",
    "incident_for",
    "lately",
    "meanwhile",
    "overridden",
    "reach",
    "relapse_of",
    "root_of",
    "stopped_cause",
    "told_lately",
]
