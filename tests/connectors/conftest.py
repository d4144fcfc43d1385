import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "hosts"))  # the container fixtures live there

from engine_fixtures import engine, image, network, run
from http_fixtures import running_service, web, web_host, web_session
from nginx_fixtures import behind, clients, front, front_server, machine, see
from pgbouncer_fixtures import come, console, pooler, pooler_host
from postgres_fixtures import orders, orders_host, orders_session, sit
from redis_fixtures import ProcessHost, Server, connect, server

__all__ = [
    "ProcessHost",
    "Server",
    "behind",
    "clients",
    "come",
    "connect",
    "console",
    "engine",
    "front",
    "front_server",
    "image",
    "machine",
    "network",
    "orders",
    "orders_host",
    "orders_session",
    "pooler",
    "pooler_host",
    "run",
    "running_service",
    "see",
    "server",
    "sit",
    "web",
    "web_host",
    "web_session",
]
