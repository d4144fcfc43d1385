"""Restart whatever is unhealthy: what watchdogs, liveness probes and `autoheal` containers do."""

import time

from watchkeeper_lab.contenders.attempt import Account, Stage

UNHEALTHY = frozenset({"DEGRADED", "FAILED"})
PATIENCE = 15.0
"""Seconds that a service is given after a restart, as a liveness probe's initial delay."""
MOST = 2
"""Restarts of one service after which it gives up on it."""


class RestartUnhealthy:
    """Sees the health that Watchkeeper reports; restarts the container (or process) of everything that is not well."""

    name = "restart_unhealthy"

    def __init__(self) -> None:
        self._restarts: dict[str, list[float]] = {}

    async def look(self, stage: Stage, account: Account) -> bool:
        """Restart each service that is unhealthy now; done once none is that was."""
        health, known = await stage.eyes.health(), await stage.eyes.resources()
        states = await stage.lab.services.states()
        unwell = [key for key, state in health.items() if state.upper() in UNHEALTHY and known[key].service in states]
        if not unwell:
            return bool(account.steps)
        worst_first = sorted(unwell, key=lambda key: health[key].upper() != "FAILED")
        account.noticed(worst_first[0])
        for service, key in {known[key].service: key for key in reversed(worst_first)}.items():
            before = self._restarts.setdefault(service, [])
            if before and time.time() - before[-1] < PATIENCE:
                continue
            if len(before) >= MOST:
                account.gave_up = True
                return True
            tool = "docker_restart" if stage.lab.ground == "container" else "service_restart"
            async with account.step(tool, key, "disruptive"):
                await stage.lab.services.restart(service)
            before.append(time.time())
        return False
