"""Checks of the user's own as resources."""

from watchkeeper.connectors.check.connector import CheckConnector, connector

__all__ = ["CheckConnector", "connector"]
