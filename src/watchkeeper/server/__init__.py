"""HTTP API, live feed, and the process that runs the loop."""

from watchkeeper.server.app import create_app
from watchkeeper.server.runtime import Runtime, running
from watchkeeper.server.serving import configured

__all__ = ["Runtime", "configured", "create_app", "running"]
