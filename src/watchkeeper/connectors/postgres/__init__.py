"""PostgreSQL."""

from watchkeeper.connectors.postgres.connector import PostgresConnector, connector

__all__ = ["PostgresConnector", "connector"]
