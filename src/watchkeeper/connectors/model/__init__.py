"""Models in production: what their monitors push, as one more thing that is watched."""

from watchkeeper.connectors.model.connector import ModelConnector, connector

__all__ = ["ModelConnector", "connector"]
