import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "hosts"))  # the container fixtures live there

from engine_fixtures import engine, image, network, run
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
    "server",
    "sit",
]
