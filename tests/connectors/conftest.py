import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "hosts"))  # the container fixtures live there

from engine_fixtures import engine, image, network, run
from http_fixtures import running_service, web, web_host, web_session
from nginx_fixtures import behind, clients, front, front_server, machine, see
from postgres_fixtures import orders, orders_host, orders_session, sit
from redis_fixtures import ProcessHost, Server, connect, server

__all__ = [
    "ProcessHost",
    "Server",
    "behind",
    "clients",
    "connect",
    "engine",
    "front",
    "front_server",
    "image",
    "machine",
    "network",
    "orders",
    "orders_host",
    "orders_session",
    "run",
    "running_service",
    "see",
    "server",
    "sit",
    "web",
    "web_host",
    "web_session",
]
