"""The language model in the planner's seat: it reads and proposes; checks, policy and the executor stand in front.

Nothing here imports the libraries that speak to models until one is asked (`asking`, `providers`).
"""

from watchkeeper.decide.model.breaker import BREAKERS, Breakers, BreakerState
from watchkeeper.decide.model.budget import Budget
from watchkeeper.decide.model.planner import ModelPlanner, Thought, made_by_model
from watchkeeper.decide.model.surroundings import Surroundings

__all__ = [
    "BREAKERS",
    "BreakerState",
    "Breakers",
    "Budget",
    "ModelPlanner",
    "Surroundings",
    "Thought",
    "made_by_model",
]
