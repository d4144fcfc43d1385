"""A case without any server: values, so that thousands of answers could be judged; and a planner over a real store."""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests import migrated
from watchkeeper.connectors import Registry
from watchkeeper.decide.model import ModelPlanner
from watchkeeper.domain import Alert, Event, Health, Incident, LogLine, Reading, Resource, now
from watchkeeper.domain.situation import Situation
from watchkeeper.settings import LlmSettings
from watchkeeper.store import Masker, Store

CACHE = "local/lab/redis/cache"
REGISTRY = Registry.installed()


_NUMBERS = itertools.count(1)


def case(**metrics: float) -> tuple[Incident, Situation]:
    """One of its own, so that nothing was spent for it."""
    at = situation(**metrics)
    key = f"inc-{next(_NUMBERS)}"
    alerts = tuple(replace(alert, incident=key) for alert in at.alerts)
    return replace(incident(), id=key), replace(at, alerts=alerts)


def situation(rule: str = "redis-odd", **metrics: float) -> Situation:
    at = now()
    sample = REGISTRY.kind("redis").sample
    figures = {**sample.metrics, "no_way_in": 0.0, "used_memory_bytes": 9e6, "persistence_enabled": 1.0, **metrics}
    reading = Reading(CACHE, at, 0.01, figures, sample.facts, "answers")
    resource = Resource(CACHE, "cache", may_act=True)
    alert = Alert(
        "al-1", rule, CACHE, "critical", Health.DEGRADED, "firing", at, "It is odd.", 1.0, at, incident="inc-1"
    )
    return Situation(at, {CACHE: resource}, {CACHE: reading}, (alert,), {CACHE: Health.DEGRADED})


def incident() -> Incident:
    return Incident("inc-1", "redis-odd on cache", CACHE, (CACHE,), now())


@dataclass
class Around:
    """What is seen, as values."""

    situation: Situation
    lines: list[LogLine] = field(default_factory=list[LogLine])
    looked: list[str] = field(default_factory=list[str])
    answers: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def resources(self) -> Mapping[str, Resource]:
        return self.situation.resources

    def resource(self, key: str) -> Resource:
        return self.situation.resources[CACHE]

    def readings(self, resource: str, since: datetime) -> Sequence[Reading]:
        reading = self.situation.readings[resource]
        return [Reading(resource, reading.at - timedelta(seconds=1), 0.01, reading.metrics), reading]

    def templates(self, resource: str) -> Sequence[str]:
        return ["accepted <n> connections"]

    async def logs(self, resource: str, since: datetime) -> Sequence[LogLine]:
        return self.lines

    async def changes(self, incident: Incident) -> Sequence[Event]:
        return []

    async def look_up(self, tool: str, resource: str, arguments: Mapping[str, Any]) -> Any:
        self.looked.append(tool)
        return self.answers.get(tool, {"ok": True})

    async def keep(self, readings: Sequence[Reading]) -> None:
        """Nothing is looked up later here."""


@pytest_asyncio.fixture(scope="module")
async def store(tmp_path_factory: Any) -> AsyncIterator[Store]:
    folder: Path = tmp_path_factory.mktemp("llm")
    async with Store.open(migrated.url(folder / "w.db"), Masker()) as opened:
        yield opened


def planner(store: Store, url: str, around: Around, **said: Any) -> ModelPlanner:
    """Two models behind one another, both there."""
    models = [
        {"name": "google:gemini-2.5-pro", "url": url, "key": "env:TEST_GEMINI"},
        {"name": "openai:local", "url": f"{url.replace('127.0.0.1', 'localhost')}/v1"},
    ]
    settings = LlmSettings(**{"models": models, "timeout": 5, "deadline": 30, **said})
    made = ModelPlanner(settings, REGISTRY, REGISTRY.tools, store)
    made.around = around
    return made


def answer(**said: Any) -> dict[str, Any]:
    """One that passes every check."""
    step = {"tool": "redis_set_maxmemory", "resource": "cache", "arguments": [{"name": "value", "value": "120000000"}]}
    good = {
        "root": "cache",
        "cause": "It has too little room.",
        "reasoning": "The reading says so.",
        "evidence": ["R1", "A1"],
        "ruled_out": [{"cause": "a slow disk", "why": "it answers at once"}],
        "confidence": 0.8,
        "accounts_for": ["cache"],
        "steps": [step],
    }
    return good | said
