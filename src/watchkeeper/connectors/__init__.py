"""Eyes and hands: one folder per technology, the same file names in each."""

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.naming import resource_on, service_on
from watchkeeper.connectors.registry import Registry

__all__ = ["Registry", "define", "resource_on", "service_on"]
