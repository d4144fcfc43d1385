"""The `watchkeeper` command: a client of the running server, and the one that starts it."""

from watchkeeper.cli.main import main

__all__ = ["main"]
