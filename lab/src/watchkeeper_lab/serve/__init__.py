"""The lab's own process: what breaks and mends it, over HTTP on loopback, for whoever holds its token."""

from watchkeeper_lab.serve.app import create_app
from watchkeeper_lab.serve.process import serve

__all__ = ["create_app", "serve"]
