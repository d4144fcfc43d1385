"""The `watchkeeper` command: a client of the running server, and the one that starts it."""

from watchkeeper.cli.app import main

__all__ = ["main"]
