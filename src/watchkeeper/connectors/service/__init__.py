"""Systemd units and plain processes as resources."""

from watchkeeper.connectors.service.connector import ServiceConnector, connector

__all__ = ["ServiceConnector", "connector"]
