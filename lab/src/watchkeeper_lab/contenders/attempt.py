"""One attempt of a contender: it looks, again and again, does what it does, and an account is kept of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from watchkeeper_lab.api import Alert, Fix, Incident, Step, Watchkeeper
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.server import Server

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a contender acts: the lab, and a Watchkeeper in mode `observe` to see with. `since` is Unix time."""

    lab: Lab
    eyes: Watchkeeper
    server: Server
    since: float


@dataclass(slots=True)
class Account:
    """What a contender has noticed and done. Times in Unix time. `root` is the resource it held to be at the root."""

    noticed_at: float | None = None
    root: str = ""
    planned_at: float | None = None
    steps: list[Step] = field(default_factory=lambda: list[Step]())
    done_at: float | None = None
    gave_up: bool = False

    def noticed(self, root: str) -> None:
        """Something is wrong with this resource; the first one counts."""
        if self.noticed_at is None:
            self.noticed_at, self.root = time.time(), root

    @asynccontextmanager
    async def step(self, tool: str, resource: str, effect: str) -> AsyncGenerator[None]:
        """Carry a step out inside the block; a `LabError` there is written down and not raised."""
        began = time.time()
        self.planned_at = self.planned_at or began
        status, error = "done", ""
        try:
            yield
        except LabError as problem:
            status, error = "failed", problem.what
        self.steps.append(Step(tool, resource, effect, status, began, time.time(), error))


class Contender(Protocol):
    """A way to react to faults."""

    name: str

    async def look(self, stage: Stage, account: Account) -> bool:
        """Look once and do what follows; True once it holds everything to be done."""
        ...


class Attempt:
    """Follows a contender as the benchmark follows Watchkeeper, and tells what it did in the same words."""

    def __init__(self, stage: Stage, contender: Contender) -> None:
        self._stage = stage
        self._contender = contender
        self._account = Account()

    async def until_ended(self, seconds: float) -> None:
        """Let it work until it holds everything to be done, at most for so many seconds."""
        await self._work(seconds, to_the_end=False)

    async def for_seconds(self, seconds: float) -> None:
        """Let it work for so many seconds, whatever it holds."""
        await self._work(seconds, to_the_end=True)

    async def _work(self, seconds: float, *, to_the_end: bool) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    done = False
                    with contextlib.suppress(httpx.HTTPError):  # its eyes may blink on a busy machine
                        done = await self._contender.look(self._stage, self._account)
                    if done and self._account.done_at is None:
                        self._account.done_at = time.time()
                    if done and not to_the_end:
                        return
                    await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> tuple[list[Incident], list[Fix]]:
        """What it did, as an incident and a fix; nothing where it noticed nothing."""
        told, name = self._account, self._contender.name
        if told.noticed_at is None:
            return [], []
        closed = told.done_at is not None and not told.gave_up
        incident = Incident(
            id=name,
            status="closed" if closed else "escalated",
            outcome="healed" if closed else "",
            title="",
            root=told.root,
            roots=frozenset([told.root]),
            opened_at=told.noticed_at,
            closed_at=told.done_at,
            alerts=(Alert("noticed", told.root, "firing", told.noticed_at),),
        )
        last = max((step.finished_at or 0.0 for step in told.steps), default=None)
        fix = Fix(name, name, name, told.planned_at, "closed", last, tuple(told.steps), "", ())
        return [incident], [fix] if told.steps else []
