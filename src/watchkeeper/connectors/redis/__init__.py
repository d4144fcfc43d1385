"""Redis, Valkey and KeyDB."""

from watchkeeper.connectors.redis.connector import RedisConnector, connector

__all__ = ["RedisConnector", "connector"]
