"""Connectors that do what none should: each in its own way, until the file named by `ROGUE_MENDED` holds its name."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from watchkeeper.domain import Condition, Effect, Health, Probe, Reading, Resource, Rule, now, tool


def rule(kind: str) -> Rule:
    """It would fire on anything that is a number above one, and not clear."""
    return Rule(
        f"{kind}-high", kind, Condition("reading.used_ratio > 1.0"), 0.0, "critical", Health.FAILED, "A test.", "a test"
    )


@tool(Effect.READ, by_hand="sleep 3600")
async def hands_count(session: Resource) -> str:
    """Look at something, and let nobody else do anything meanwhile."""
    time.sleep(3600)  # noqa: ASYNC251
    return "never"


class Rogue:
    metric = "used_ratio"
    runbooks: Sequence[Any] = ()

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.tools = (hands_count,) if kind == "hands" else ()
        self.rules = (rule(kind),)
        self.sample = Reading(kind, now(), 0.0, {"used_ratio": 0.5})
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def mended(self) -> bool:
        file = Path(os.environ.get("ROGUE_MENDED", "/nonexistent"))
        return file.exists() and self.kind in file.read_text().split()

    async def discover(self, hosts: Sequence[Any], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        yield Resource(f"local/lab/{self.kind}/one", f"{self.kind}-one")
        while self.kind == "endless" and not self.mended:
            yield Resource(f"local/lab/{self.kind}/{time.perf_counter_ns()}", f"{self.kind}-{time.perf_counter_ns()}")
        if self.kind == "raises" and not self.mended:
            raise ZeroDivisionError("discover")

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Any) -> AsyncGenerator[Resource]:
        try:
            yield resource
        finally:
            if self.kind == "raises" and not self.mended:
                raise KeyError("close")

    async def read(self, session: Resource, last: Reading | None) -> Any:
        if not self.mended:
            match self.kind:
                case "blocks":
                    time.sleep(3600)  # noqa: ASYNC251
                case "spins":
                    while True:
                        pass
                case "raises":
                    raise KeyError("read")
                case "garbage":
                    return "fine"
                case "stubborn":
                    while True:
                        with suppress(asyncio.CancelledError):
                            await asyncio.Event().wait()
                case "leaks":
                    self._tasks += [asyncio.create_task(forgotten()) for _ in range(100)]
                case "nonsense":
                    figures: dict[Any, Any] = {
                        "used_ratio": float("nan"),
                        "age_seconds": -1.0,
                        "big": 1e308,
                        "word": "x",
                    }
                    return Reading(session.id, now(), -1.0, figures, {"long": "x" * 10**6, "nul": "\x00\ud800"}, "fine")
                case _:
                    pass
        return Reading(session.id, now(), 0.0, {"used_ratio": 0.5}, {}, "fine")

    async def probe(self, session: Resource) -> Any:
        if self.mended:
            return Probe(session.id, now(), True, 0.0, "a test")
        raise ValueError("probe")

    def level(self, line: str) -> Any:
        raise ValueError("level")


async def forgotten() -> None:
    await asyncio.Event().wait()


blocks, spins, raises, garbage = Rogue("blocks"), Rogue("spins"), Rogue("raises"), Rogue("garbage")
endless, stubborn, leaks, nonsense = Rogue("endless"), Rogue("stubborn"), Rogue("leaks"), Rogue("nonsense")
hands = Rogue("hands")
