"""What Watchkeeper practises and is measured on: real services, faults, an oracle, benchmarks."""

from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.oracle import Judgement, Oracle
from watchkeeper_lab.row import Row
from watchkeeper_lab.runner import run_scenario
from watchkeeper_lab.scenario import Scenario, scenario, scenarios

__all__ = [
    "BadInputError",
    "Judgement",
    "Lab",
    "LabError",
    "Oracle",
    "Row",
    "Scenario",
    "run_scenario",
    "scenario",
    "scenarios",
]
