import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "hosts"))  # the container fixtures live there

from engine_fixtures import engine, image, network, run
from http_fixtures import running_service, web, web_host, web_session
from postgres_fixtures import orders, orders_host, orders_session, sit
from redis_fixtures import ProcessHost, Server, connect, server

__all__ = [
    "ProcessHost",
    "Server",
    "connect",
    "engine",
    "image",
    "network",
    "orders",
    "orders_host",
    "orders_session",
    "run",
    "running_service",
    "server",
    "sit",
    "web",
    "web_host",
    "web_session",
]
