"""incident → diagnosis → plan → permission: runbooks, policy; the model later, behind the same seam."""

from watchkeeper.decide.decide import PAUSED, Decide
from watchkeeper.decide.policy import SCHEMA, Policy, compile_table

__all__ = ["PAUSED", "SCHEMA", "Decide", "Policy", "compile_table"]
