"""Checks of the user's own: made beside the looks at a resource, and told in its readings, with a rule for each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, cast

import structlog

from watchkeeper.connectors.check.run import Result, carry_out
from watchkeeper.domain import Condition, ConfigurationError, Connector, Health, Reading, Resource, Rule
from watchkeeper.settings import secret
from watchkeeper.settings.checks import CheckSettings

log = structlog.get_logger(__name__)
AGAIN = 1.0
"""Seconds between two tries while it fails: how long it has failed, and that it is over, is not to wait for `every`."""
_OWN = "local/production/check/"


class Checks:
    """All there are. `hide` masks what must not be shown; `learn` is told the secrets that checks refer to."""

    def __init__(
        self, checks: Sequence[CheckSettings], hide: Callable[[str], str], learn: Callable[[str], object]
    ) -> None:
        self._runs = [Run(check, hide) for check in checks]
        self.rules: tuple[Rule, ...] = tuple(_rule(check) for check in checks)
        """Each of a kind of its own, that of the check: it holds for what the check is on alone."""
        for check in checks:
            for reference in check.references:
                with suppress(ConfigurationError):  # told by the check itself, each time it is made
                    learn(secret(reference))

    def kinds(self, resource: Resource) -> set[str]:
        """The kind of the resource and those of the checks on it: whose rules hold for it."""
        return {resource.kind, *(_kind(run.check) for run in self._on(resource))}

    def beside(self, resource: Resource, connector: Connector[Any]) -> Connector[Any]:
        """The connector, with what the checks on this resource found in each of its readings."""
        runs = self._on(resource)
        return cast("Connector[Any]", Beside(connector, runs)) if runs else connector

    def problems(self, resources: Mapping[str, Resource]) -> dict[str, str]:
        """Checks on what is not there."""
        return {
            f"check {run.check.name}": f"nothing watched is called {run.check.resource!r}: it is not made"
            for run in self._runs
            if run.check.resource is not None and not any(_is_on(run.check, known) for known in resources.values())
        }

    async def stop(self) -> None:
        """End what is under way."""
        await asyncio.gather(*(run.stop() for run in self._runs))

    def _on(self, resource: Resource) -> list["Run"]:
        return [run for run in self._runs if _is_on(run.check, resource)]


class Run:
    """One check: made when it is due, in a task of its own; what it found last stands until then."""

    def __init__(self, check: CheckSettings, hide: Callable[[str], str]) -> None:
        self.check = check
        self.last: Result | None = None
        self._hide = hide
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    def result(self) -> Result | None:
        """What it found last; begins to make it anew where that is due."""
        if (self._task is None or self._task.done()) and asyncio.get_running_loop().time() >= self._due:
            self._task = asyncio.create_task(self._make(), name=f"check {self.check.name}")
        return self.last

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _make(self) -> None:
        try:
            found = await carry_out(self.check)
        except Exception as problem:
            log.exception("a check could not be made", check=self.check.name)
            found = Result(f"it could not be made: {type(problem).__name__}", 0.0)
        self.last = replace(found, problem=self._hide(found.problem))
        wait = min(AGAIN, self.check.every) if found.problem else self.check.every
        self._due = asyncio.get_running_loop().time() + wait


class Beside:
    """A connector whose readings tell besides what checks found."""

    def __init__(self, connector: Connector[Any], runs: Sequence[Run]) -> None:
        self._connector = connector
        self._runs = runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    async def read(self, session: Any, last: Reading | None) -> Reading:
        """The look, and what was found lately beside it. What is meant to be off is not judged."""
        reading = await self._connector.read(session, last)
        metrics, facts, said = dict(reading.metrics), dict(reading.facts), list[str]()
        for run in self._runs:
            key, found = f"check_{run.check.key}", run.result()
            if found is None:
                continue
            metrics |= {
                f"{key}_failed": float(bool(found.problem) and not reading.off),
                f"{key}_seconds": found.seconds,
            }
            facts[key] = found.problem or "as expected"
            if found.problem:
                said.append(f"{run.check.name}: {found.problem}")
        state = reading.state
        if reading.resource.startswith(_OWN) and self._runs[0].last is not None:
            metrics["check_seconds"] = self._runs[0].last.seconds
            state = self._runs[0].last.problem or "as expected"
        elif said:
            state = "; ".join([*filter(None, [state]), *said])
        return replace(reading, metrics=metrics, facts=facts, state=state)


def _is_on(check: CheckSettings, resource: Resource) -> bool:
    if check.resource is None:
        return resource.id == f"{_OWN}{check.name}"
    return any(fnmatchcase(text, check.resource) for text in (resource.id, resource.slug))


def _kind(check: CheckSettings) -> str:
    return f"check:{check.name}"


def _rule(check: CheckSettings) -> Rule:
    failed = f"reading.check_{check.key}_failed"
    return Rule(
        id=check.rule,
        kind=_kind(check),
        when=Condition(f"{failed} > 0.0"),
        clear=Condition(f"{failed} < 1.0"),
        for_seconds=check.for_,
        severity=check.severity,
        health=Health.FAILED if check.severity == "critical" else Health.DEGRADED,
        why=check.why or f"The check {check.name} fails ({check.said}).",
        source="watchkeeper.yaml, checks",
        recommend=check.recommend,
        runbook=check.runbook,
        metric=f"check_{check.key}_seconds",
    )
