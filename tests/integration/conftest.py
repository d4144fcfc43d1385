"""The session's lab, and a Watchkeeper of its own beside it."""

from watchkeeper_lab.testing import healthy_lab, lab

__all__ = ["healthy_lab", "lab"]
