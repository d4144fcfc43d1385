"""nginx."""

from watchkeeper.connectors.nginx.connector import connector

__all__ = ["connector"]
