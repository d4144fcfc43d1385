"""HTTP API, live feed, and the process that runs the loop."""

from watchkeeper.server.app import create_app
from watchkeeper.server.runtime import Runtime, running

__all__ = ["Runtime", "create_app", "running"]
