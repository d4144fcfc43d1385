import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "hosts"))  # the container fixtures live there

from engine_fixtures import engine, image, network, run
from redis_fixtures import ProcessHost, Server, connect, server

__all__ = ["ProcessHost", "Server", "connect", "engine", "image", "network", "run", "server"]
