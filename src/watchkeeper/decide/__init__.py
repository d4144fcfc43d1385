"""incident → diagnosis → plan → permission: runbooks and the model behind one seam, policy in front of it."""

from watchkeeper.decide.access import Access
from watchkeeper.decide.amending import Amendment, Amendments
from watchkeeper.decide.decide import PAUSED, Decide
from watchkeeper.decide.handbook import Handbook
from watchkeeper.decide.history import RESET
from watchkeeper.decide.lessons import Lessons
from watchkeeper.decide.model import ModelPlanner, made_by_model
from watchkeeper.decide.modes import ALL, RANK, Modes, ModeSet
from watchkeeper.decide.policy import SCHEMA, Facts, Policy, compile_table
from watchkeeper.decide.runbooks import outlived, worse
from watchkeeper.decide.seat import LEFT, Seat
from watchkeeper.decide.shell import example

__all__ = [
    "ALL",
    "LEFT",
    "PAUSED",
    "RANK",
    "RESET",
    "SCHEMA",
    "Access",
    "Amendment",
    "Amendments",
    "Decide",
    "Facts",
    "Handbook",
    "Lessons",
    "ModeSet",
    "ModelPlanner",
    "Modes",
    "Policy",
    "Seat",
    "compile_table",
    "example",
    "made_by_model",
    "outlived",
    "worse",
]
