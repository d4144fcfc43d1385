"""Executes one plan, undoes one plan; durable."""

from watchkeeper.act.act import Act
from watchkeeper.act.workflow import Executor, launched

__all__ = ["Act", "Executor", "launched"]
