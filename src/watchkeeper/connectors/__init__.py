"""Eyes and hands: one folder per technology, the same file names in each."""

from watchkeeper.connectors.definitions import load_rules, load_runbooks
from watchkeeper.connectors.naming import resource_on, service_on
from watchkeeper.connectors.registry import Registry

__all__ = ["Registry", "load_rules", "load_runbooks", "resource_on", "service_on"]
