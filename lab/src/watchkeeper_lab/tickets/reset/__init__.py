"""The support desk as it was: what is not as with every Redis and PostgreSQL."""

from watchkeeper_lab.tickets.reset import broker, desk, pages

__all__ = ["broker", "desk", "pages"]
