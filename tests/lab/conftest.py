"""The session's lab."""

from watchkeeper_lab.testing import healthy_lab, lab

__all__ = ["healthy_lab", "lab"]
