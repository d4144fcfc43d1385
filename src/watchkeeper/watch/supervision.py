"""All connectors' conduct: the watchdog beside the event loop, and the tasks that are counted now and then."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakSet

from watchkeeper.domain import Connector
from watchkeeper.telemetry.watchdog import Watchdog, meter
from watchkeeper.watch.conduct import Conduct, Told

TASKS = 100
"""Tasks of its own that a connector may have, besides TASKS_EACH per resource, before it counts as leaking them."""
TASKS_EACH = 5


class Supervision:
    """A Conduct for each connector."""

    def __init__(self, connectors: Iterable[Connector[Any]], told: Told) -> None:
        self.conducts: Mapping[str, Conduct] = {known.kind: Conduct(known.kind, told) for known in connectors}
        self._tasks: dict[str, WeakSet[asyncio.Task[Any]]] = {kind: WeakSet() for kind in self.conducts}
        self._counted: dict[str, int] = {}
        self._watchdog: Watchdog | None = None

    def of(self, kind: str) -> Conduct:
        return self.conducts[kind]

    @property
    def problems(self) -> dict[str, str]:
        """For a person, by connector."""
        return {kind: said for kind, conduct in self.conducts.items() if (said := conduct.problem)}

    def start(self) -> None:
        self._watchdog = Watchdog(_blocked)
        self._watchdog.start()
        asyncio.get_running_loop().set_task_factory(self._made)

    def stop(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
            asyncio.get_running_loop().set_task_factory(None)

    def count(self, resources: Mapping[str, int]) -> None:
        """Strike the connectors whose tasks have become more and are too many; `resources`: how many of each kind.

        What a quarantined one has left behind is ended.
        """
        for kind, conduct in self.conducts.items():
            tasks = [task for task in self._tasks[kind] if not task.done()]
            before, self._counted[kind] = self._counted.get(kind, 0), len(tasks)
            if conduct.quarantined:
                for task in tasks:
                    task.cancel()
                continue
            most = TASKS + TASKS_EACH * resources.get(kind, 0)
            if len(tasks) <= most or len(tasks) <= before:
                continue
            said = f"it has {len(tasks)} tasks that do not end, and ever more"
            conduct.strike("leaking", said)
            if len(tasks) > 10 * most:
                conduct.quarantine(said)

    def _made(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> asyncio.Task[Any]:
        """Whose step makes a task, whose task it is."""
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **named)
        if (running := meter.running) is not None and (mine := self._tasks.get(running[0].kind)) is not None:
            mine.add(task)
        return task


def _blocked(conduct: Conduct, what: str, seconds: float, where: str) -> None:
    conduct.strike("blocking", f"{what} blocked the event loop for more than {seconds:.1f} s, in {where}")
