"""How long deciding takes: the fresh look, the plan out of runbooks, what stands beside the table, the permission.

Run: .venv/bin/python -m benchmarks.deciding --json benchmarks/results/deciding.json

A real Redis that is full, watched with an empty store; the same incident is decided on again and again, in mode
`observe`, so that nothing changes. Times in milliseconds.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.conftest import start_redis
from tests.following import event

from benchmarks.telling import tell
from watchkeeper.domain import LOOP, Decision, Incident
from watchkeeper.server import Runtime, running
from watchkeeper.settings import Settings

CACHE = "local/lab/redis/cache"


async def measured(times: int) -> dict[str, Any]:
    """Milliseconds of each part, and of all of them together."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server = start_redis(folder, "--maxmemory", "32mb")
        with server.client() as redis:
            redis.eval("for i = 1, 29000 do redis.call('set', 'page:' .. i, string.rep('x', 1000)) end", 0)
        cache = {"name": "cache", "kind": "redis", "url": server.url, "environment": "lab", "act": True}
        said = {
            "mode": "observe",
            "data": str(folder / "data"),
            "only": [CACHE],
            "resources": [cache | {"settings": {"cache_keys": "page:*"}}],
        }
        taken: dict[str, list[float]] = {}

        async def timed(name: str, work: Callable[[], Awaitable[Any]]) -> Any:
            began = time.perf_counter()
            found = await work()
            taken.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
            return found

        try:
            async with running(Settings.model_validate(said)) as runtime, asyncio.timeout(300):
                would = await event(runtime, "fix.would")
                incident = await runtime.store.get(Incident, would.incident or "")
                for _ in range(times):
                    await once(runtime, incident, timed)
        finally:
            server.stop()
    return {
        name: {"median": statistics.median(every), "p99": sorted(every)[int(len(every) * 0.99)]}
        for name, every in taken.items()
    }


async def once(runtime: Runtime, incident: Incident, timed: Callable[..., Awaitable[Any]]) -> None:
    """What the loop does from an open incident to a permitted plan."""
    decide = runtime.decide

    async def whole() -> None:
        at = await timed("look", lambda: runtime.watch.look(incident.resources))
        plan, _ = await timed("plan", lambda: decide.next_plan(incident.root, incident, at))
        standing = await timed("standing", lambda: decide.standing(plan, at, (), incident=incident.id))

        async def permitted() -> Decision:
            return decide.permit(plan, at, LOOP, standing=standing)

        decision = await timed("permit", permitted)
        assert decision.policy == "mode/observe", decision

    await timed("all", whole)


if __name__ == "__main__":
    tell(__doc__, measured, 500)
