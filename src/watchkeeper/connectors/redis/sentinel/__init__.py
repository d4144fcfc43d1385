"""Redis Sentinel as a resource of its own."""

from watchkeeper.connectors.redis.sentinel.connector import SentinelConnector, connector

__all__ = ["SentinelConnector", "connector"]
