"""A connector, a host and a provider whose every answer a test says."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from tests.domain.making import reading
from watchkeeper.domain import Probe, Reading, Resource, Rule, now


class Scripted:
    """A connector: `finds` what it is told, and each look does what `looks` says."""

    metric = "used"
    sample = reading(used=0.5)
    runbooks: Sequence[Any] = ()
    tools: Sequence[Any] = ()

    def __init__(self, *finds: Resource, kind: str = "redis", rules: Sequence[Rule] = ()) -> None:
        self.kind = kind
        self.rules = rules
        self.finds = list(finds)
        self.fails: Exception | None = None
        self.looks: Callable[[Resource], Awaitable[Reading]] = well
        self.opens: Callable[[Resource], Awaitable[None]] = at_once
        self.counted: dict[str, int] = {}
        self.settings: Mapping[str, Any] = {}

    async def discover(self, hosts: Sequence[Any], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        self.settings = settings
        for found in self.finds:
            yield found
        if self.fails is not None:
            raise self.fails

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Any) -> AsyncGenerator[Resource]:
        await self.opens(resource)
        yield resource

    async def read(self, session: Resource, last: Reading | None) -> Reading:
        self.counted[session.id] = self.counted.get(session.id, 0) + 1
        return await self.looks(session)

    async def probe(self, session: Resource) -> Probe:
        return Probe(session.id, now(), True, 0.0, "PING")

    def level(self, line: str) -> Any:
        return "ERROR" if "ERROR" in line else None


async def at_once(_: Resource) -> None:
    return None


async def well(of: Resource) -> Reading:
    return reading(of, used=0.5)


async def hang(_: Resource) -> Any:
    await asyncio.Event().wait()


class FakeHost:
    """A host with an incarnation and a log that a test writes."""

    kind = provider = "fake"

    def __init__(self, incarnation: str = "first", environment: Mapping[str, str] | None = None) -> None:
        self.incarnation = incarnation
        self.written: asyncio.Queue[tuple[datetime, str]] = asyncio.Queue()
        self.asked = asyncio.Event()
        self.since: list[datetime | None] = []
        self.breaks: Exception | None = None
        """Raised once by the log, after the next line."""
        self.fails: Exception | None = None
        self._environment = environment or {}

    async def environment(self) -> Mapping[str, str]:
        if self.fails is not None:
            raise self.fails
        return self._environment

    async def logs(self, *, since: datetime | None = None) -> AsyncIterator[tuple[datetime, str]]:
        self.asked.set()
        self.since.append(since)
        while True:
            yield await self.written.get()
            if (problem := self.breaks) is not None:
                self.breaks = None
                raise problem


class Hosts:
    """A provider of hosts."""

    def __init__(self, *hosts: FakeHost) -> None:
        self.found = list(hosts)
        self.problem: str | None = None

    async def hosts(self) -> list[Any]:
        return list(self.found)
