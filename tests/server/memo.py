"""A small technology for tests: a level kept in a real Redis. Above 0.9 it is ill; setting it lower heals it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors.definitions import parse_rules, parse_runbook
from watchkeeper.connectors.redis.wire import Wire
from watchkeeper.domain import Effect, Level, Probe, Reading, Resource, WatchkeeperError, now, tool
from watchkeeper.domain.saying import say

PATIENCE = 60.0
"""Seconds until an answer counts as none."""


@dataclass
class Memo:
    """An open session with one level. It speaks as the product's own connector does: a look that is cut off leaves no
    connection behind."""

    name: str
    port: int
    wire: Wire

    async def call(self, *command: str | float) -> Any:
        (answer,) = await self.wire.call([command], timeout=PATIENCE)
        return answer

    async def level(self) -> float:
        return float(await self.call("GET", f"{self.name}:level") or 0.1)

    async def worn(self) -> float:
        return float(await self.call("GET", f"{self.name}:worn") or 0.0)

    async def put(self, value: float) -> None:
        await self.call("SET", f"{self.name}:level", value)
        await self.call("RPUSH", f"{self.name}:changes", value)


async def level(memo: Memo) -> float:
    return await memo.level()


@tool(Effect.READ)
async def memo_show(memo: Memo, note: str = "") -> dict[str, Any]:
    """Show the level."""
    return {"level": await memo.level(), "note": note}


@tool(Effect.READ, timeout=0.1)
async def memo_hang(memo: Memo) -> None:
    """Never answer."""
    await asyncio.Event().wait()


@tool(Effect.REVERSIBLE, state=level, settle=3.0, timeout=20.0, by_hand="redis-cli SET {resource}:level {value}")
async def memo_set(memo: Memo, value: Annotated[float, Ge(0), Le(2)]) -> None:
    """Set the level."""
    await memo.put(value)


@memo_set.undo
async def restore(memo: Memo, before: float) -> None:
    await memo.put(before)


@tool(Effect.REVERSIBLE, state=level, settle=3.0, timeout=30.0)
async def memo_slow(memo: Memo, value: Annotated[float, Ge(0), Le(2)]) -> None:
    """Say that it has begun, wait to be let go, and set the level."""
    await memo.call("RPUSH", f"{memo.name}:begun", 1)
    say("it has begun, and waits to be let go")
    waiting = await Wire.open("127.0.0.1", memo.port)  # looks go on meanwhile
    try:
        await waiting.call([("BLPOP", f"{memo.name}:go", 0)], timeout=PATIENCE)
    finally:
        waiting.close()
    await memo.put(value)


memo_slow.undo(restore)


@tool(Effect.REVERSIBLE, state=level, settle=3.0, timeout=30.0)
async def memo_stuck(memo: Memo) -> None:
    """Say that it has begun, wait to be let go, and change nothing."""
    await memo.call("RPUSH", f"{memo.name}:begun", 1)
    waiting = await Wire.open("127.0.0.1", memo.port)
    try:
        await waiting.call([("BLPOP", f"{memo.name}:go", 0)], timeout=PATIENCE)
    finally:
        waiting.close()
    raise WatchkeeperError("It did not move.")


@tool(Effect.DESTRUCTIVE, state=level, settle=3.0)
async def memo_wipe(memo: Memo) -> None:
    """Forget everything."""
    await memo.put(0.0)


SAMPLE = Reading("local/lab/memo/sample", now(), 0.0, {"level": 0.5, "worn": 0.0})
RULES = """
- rule: memo-high
  when: reading.level > 0.9
  for: 0s
  severity: critical
  health: DEGRADED
  why: It is high.
  source: a test
  runbook: high
  metric: level
  threshold: 0.9
- rule: memo-slow
  when: reading.level > 0.7 && reading.level < 0.8
  for: 0s
  severity: critical
  health: DEGRADED
  why: It is slow.
  source: a test
  runbook: slow
- rule: memo-rising
  when: reading.level > 0.8 && reading.level < 0.9
  for: 1h
  severity: critical
  health: DEGRADED
  why: It will be high.
  source: a test
- rule: memo-worn
  when: reading.worn > 0.5
  for: 0s
  severity: critical
  health: DEGRADED
  why: It is worn, and nothing is known to help.
  source: a test
- rule: memo-stuck
  when: reading.level > 0.5 && reading.level < 0.55
  for: 0s
  severity: critical
  health: DEGRADED
  why: It is stuck.
  source: a test
  runbook: stuck
- rule: memo-odd
  when: reading.level > 0.6 && reading.level < 0.65
  for: 0s
  severity: warning
  health: DEGRADED
  why: It is odd, but nothing to call anybody for.
  source: a test
"""
HIGH = """---
when: alerts.exists(a, a.rule == "memo-high")
cause: Somebody put it up.
ladder:
  - [{tool: memo_set, with: {value: 0.2}}]
  - [{tool: memo_set, with: {value: 0.1}}]
healed: reading.level < 0.5
---
# High
"""
SLOW = """---
when: alerts.exists(a, a.rule == "memo-slow")
cause: It has two steps.
ladder:
  - - {tool: memo_slow, with: {value: 0.75}}
    - {tool: memo_set, with: {value: 0.3}}
healed: reading.level < 0.5
---
# Slow
"""
STUCK = """---
when: alerts.exists(a, a.rule == "memo-stuck")
cause: It does not move.
ladder:
  - [{tool: memo_stuck}]
---
# Stuck
"""


class MemoConnector:
    kind = "memo"
    metric = "level"
    sample = SAMPLE

    def __init__(self, port: int) -> None:
        self.port = port
        self.tools: Sequence[Any] = (memo_show, memo_hang, memo_set, memo_slow, memo_stuck, memo_wipe)
        self.rules = parse_rules(RULES, kind=self.kind, sample=SAMPLE, where="rules.yaml")
        self.runbooks = [
            parse_runbook(text, name=name, kind=self.kind, sample=SAMPLE, tools=self.tools)
            for name, text in (("high", HIGH), ("slow", SLOW), ("stuck", STUCK))
        ]
        self.there: dict[str, Resource] = {}

    async def discover(self, hosts: Sequence[Any], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        for found in self.there.values():
            yield found

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Any) -> AsyncGenerator[Memo]:
        wire = await Wire.open("127.0.0.1", self.port)
        try:
            yield Memo(resource.name, self.port, wire)
        finally:
            wire.close()

    async def read(self, session: Memo, last: Reading | None) -> Reading:
        return Reading("", now(), 0.0, {"level": await session.level(), "worn": await session.worn()}, state="running")

    async def probe(self, session: Memo) -> Probe:
        return Probe(f"local/lab/memo/{session.name}", now(), await session.call("PING") == "PONG", 0.0, "PING")

    def level(self, line: str) -> Level | None:
        return None
