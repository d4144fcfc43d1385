"""PgBouncer."""

from watchkeeper.connectors.pgbouncer.connector import PgbouncerConnector, connector

__all__ = ["PgbouncerConnector", "connector"]
