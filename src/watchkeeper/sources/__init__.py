"""Stores of metrics that readings may come from: who asks them, which series are meant, and what they mean."""

from watchkeeper.sources.examining import Found, examine
from watchkeeper.sources.exporters import Exporter, exporters_of
from watchkeeper.sources.known import KnownAs, known_as
from watchkeeper.sources.matching import Directory
from watchkeeper.sources.prometheus import Prometheus
from watchkeeper.sources.sources import Sources, only_seen, said
from watchkeeper.sources.through import Through

__all__ = [
    "Directory",
    "Exporter",
    "Found",
    "KnownAs",
    "Prometheus",
    "Sources",
    "Through",
    "examine",
    "exporters_of",
    "known_as",
    "only_seen",
    "said",
]
