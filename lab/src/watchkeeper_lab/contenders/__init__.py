"""What Watchkeeper is measured against: other ways to react, really carried out on the same lab.

Each sees with a Watchkeeper that runs beside it in mode `observe` and never acts, and decides in its own way. Neither
looks whether what it did has helped.
"""

from watchkeeper_lab.contenders.attempt import Account, Attempt, Contender, Stage
from watchkeeper_lab.contenders.first_tool import FirstMatchingTool
from watchkeeper_lab.contenders.restart import RestartUnhealthy

BASELINES: dict[str, type[Contender]] = {
    "restart_unhealthy": RestartUnhealthy,
    "first_matching_tool": FirstMatchingTool,
}

__all__ = ["BASELINES", "Account", "Attempt", "Contender", "Stage"]
