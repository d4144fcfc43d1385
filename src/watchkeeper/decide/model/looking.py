"""What a model may look at besides what it is shown: tools that only read, readings, log lines, runbooks."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from watchkeeper.decide.model.checks import Case
from watchkeeper.decide.model.context import BEFORE, LINES, only_looks
from watchkeeper.decide.model.delimiting import Fence, Shown
from watchkeeper.decide.model.surroundings import Surroundings
from watchkeeper.domain import Evidence, Resource, WatchkeeperError, now

LONGEST = 4000
"""Characters of one answer, about 1,250 tokens."""
POINTS = 20


class Looking:
    """Whatever it says is data from outside, and is fenced as such; what was shown may be cited."""

    def __init__(self, case: Case, around: Surroundings, fence: Fence, shown: Shown) -> None:
        self._case = case
        self._around = around
        self._fence = fence
        self._shown = shown

    async def look(self, tool: str, resource: str, arguments: dict[str, Any]) -> str:
        """Problems are answers, too: the model may go on with something else."""
        try:
            if tool == "runbook":
                return self._runbook(str(arguments.get("name", resource)))
            known = self._case.resource(resource)
            if known is None:
                names = f"{resource!r} is not within reach. Within it: {', '.join(self._case.slugs)}."
                return self._fence.around(self._fence.clean(names, LONGEST))
            if tool == "readings":
                return self._readings(known, arguments)
            if tool == "logs":
                return await self._logs(known, arguments)
            return await self._tool(tool, known, arguments)
        except (WatchkeeperError, ValueError) as problem:
            return self._fence.around(self._fence.clean(str(problem)))

    async def _tool(self, name: str, resource: Resource, arguments: Mapping[str, Any]) -> str:
        tool = self._case.tools.get(name)
        if tool is None or not only_looks(tool.effect, tool.effect_now):
            return f"{name!r} is none of the look-ups listed. What changes something is only ever planned."
        whole = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in arguments.items()}
        said = await self._around.look_up(name, resource.id, whole)
        text = self._fence.clean(json.dumps(said, ensure_ascii=False, default=str), LONGEST)
        key = self._shown.add("T", Evidence(resource.id, now(), f"{name}: {text[:300]}"))
        return f"[{key}]\n{self._fence.around(text)}"

    def _readings(self, resource: Resource, arguments: Mapping[str, Any]) -> str:
        metric, since = str(arguments.get("metric", "")), now() - _minutes(arguments)
        found = [r for r in self._around.readings(resource.id, since) if metric in r.metrics]
        if not found:
            names = ", ".join(sorted({name for r in self._around.readings(resource.id, since) for name in r.metrics}))
            return self._fence.around(self._fence.clean(f"no readings of {metric!r}; there are: {names}", LONGEST))
        step = max(1, len(found) // POINTS)
        lines: list[str] = []
        for one in found[::step][:POINTS]:
            key = self._shown.add("R", Evidence(resource.id, one.at, f"the reading at {one.at:%H:%M:%S}"))
            lines.append(f"[{key}] {one.at:%H:%M:%S} {one.metrics[metric]:.6g}")
        return self._fence.around("\n".join(lines))

    async def _logs(self, resource: Resource, arguments: Mapping[str, Any]) -> str:
        text = str(arguments.get("text", "")).lower()
        found = await self._around.logs(resource.id, now() - _minutes(arguments))
        lines: list[str] = []
        for line in [line for line in found if text in line.text.lower()][-LINES:]:
            said = self._fence.clean(line.text)
            key = self._shown.add("L", Evidence(line.resource or resource.id, line.at, f"{line.level}: {said}"))
            lines.append(f"[{key}] {line.at:%H:%M:%S} {line.level} {said}")
        return self._fence.around("\n".join(lines) or "no lines")

    def _runbook(self, name: str) -> str:
        book = next((one for one in self._case.runbooks if one.name == name), None)
        if book is None:
            return f"There is no runbook {name!r}."
        return self._fence.around(self._fence.clean(f"{book.cause} {book.page}", LONGEST))


def _minutes(arguments: Mapping[str, Any]) -> timedelta:
    said = float(arguments.get("minutes", BEFORE.total_seconds() / 60))
    return timedelta(minutes=min(max(said, 0.1), 1440.0))
