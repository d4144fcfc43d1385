"""Containers as resources."""

from watchkeeper.connectors.docker.connector import DockerConnector, connector

__all__ = ["DockerConnector", "connector"]
