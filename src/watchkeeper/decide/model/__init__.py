"""The language model in the planner's seat: it reads and proposes; checks, policy and the executor stand in front.

Nothing here imports the libraries that speak to models until one is asked (`asking`, `providers`).
"""

from watchkeeper.decide.model.answer import AnswerStep, Argument
from watchkeeper.decide.model.breaker import BREAKERS, Breakers, BreakerState
from watchkeeper.decide.model.budget import Budget
from watchkeeper.decide.model.chat import Asking, Chat, Offered
from watchkeeper.decide.model.chat import Said as Told
from watchkeeper.decide.model.checks import arguments_of
from watchkeeper.decide.model.citing import Marks, known
from watchkeeper.decide.model.context import only_looks
from watchkeeper.decide.model.delimiting import Fence
from watchkeeper.decide.model.figures import Stands
from watchkeeper.decide.model.planner import ModelPlanner, Thought, made_by_model
from watchkeeper.decide.model.surroundings import Surroundings

__all__ = [
    "BREAKERS",
    "AnswerStep",
    "Argument",
    "Asking",
    "BreakerState",
    "Breakers",
    "Budget",
    "Chat",
    "Fence",
    "Marks",
    "ModelPlanner",
    "Offered",
    "Stands",
    "Surroundings",
    "Thought",
    "Told",
    "arguments_of",
    "known",
    "made_by_model",
    "only_looks",
]
