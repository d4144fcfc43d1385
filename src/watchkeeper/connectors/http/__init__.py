"""Anything with a URL as a resource."""

from watchkeeper.connectors.http.connector import HttpConnector, connector

__all__ = ["HttpConnector", "connector"]
