"""What a call costs an agent: the same look-up of a real Redis by the tool itself, over the API, and over MCP; and the
same change.

Run: .venv/bin/python -m benchmarks.agents --json benchmarks/results/agents.json

The three take turns, so that whatever else the machine does disturbs all alike. Times in milliseconds; `over_the_tool`
is the median of the differences within one turn. Both ends of each call share this process: what the client costs is
in it. A change is asked for in mode `approve`: a fresh look, the policy, and a request on disk before the answer
(`awaiting_approval`); it is not carried out, so that its `tool` is what the change itself would take.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.conftest import free_port, start_redis

from benchmarks.telling import tell
from watchkeeper.server import Runtime, create_app, running
from watchkeeper.settings import Settings

CHANGE = {"value": 128 << 20}
CACHE = "local/lab/redis/cache"
LOOK_UP = {"resource": "cache", "section": "memory"}


async def taken(work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1e3


async def turns(runtime: Runtime, url: str, times: int) -> dict[str, Any]:
    """Each way once, again and again."""
    bearer = {"Authorization": f"Bearer {runtime.token}"}
    tool = runtime.decide.tool("redis_info")
    watcher = runtime.watch.watchers[CACHE]
    async with (
        httpx.AsyncClient(base_url=url, headers=bearer, timeout=60, trust_env=False) as api,
        httpx2.AsyncClient(headers=bearer, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as agent,
        watcher.connector.connect(watcher.resource, None) as session,
    ):

        async def direct() -> None:
            assert (await tool.run(session, section="memory"))["maxmemory"]

        async def over_api() -> None:
            body = {"resource": "cache", "arguments": {"section": "memory"}}
            assert (await api.post("/api/mcp/tools/redis_info", json=body)).raise_for_status()

        async def over_mcp() -> None:
            assert not (await agent.call_tool("redis_info", LOOK_UP)).is_error

        changing = runtime.decide.tool("redis_set_maxmemory")

        async def change() -> None:
            await changing.run(session, value=64 << 20)  # less: only more is asked for

        async def change_over_mcp() -> None:
            asked = await agent.call_tool("redis_set_maxmemory", CHANGE | {"resource": "cache"})
            assert asked.structured_content["status"] == "awaiting_approval", asked

        async def settled() -> None:
            """Nothing waits any more: the same asked for again would be the same request."""
            for approval in (await api.get("/api/approvals")).json()["items"]:
                if approval["status"] == "waiting":
                    await api.post(f"/api/approvals/{approval['id']}/reject", json={})

        looks = await compared({"tool": direct, "api": over_api, "mcp": over_mcp}, times)
        return {"look-up": looks, "change": await compared({"tool": change, "mcp": change_over_mcp}, times, settled)}


async def compared(
    ways: Mapping[str, Callable[[], Awaitable[Any]]], times: int, after: Callable[[], Awaitable[Any]] | None = None
) -> dict[str, Any]:
    """Each once, again and again; `after` each turn."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(times + 20):
        for name, way in ways.items():
            took = await taken(way)
            if number >= 20:  # until everything is warm
                found[name].append(took)
        if after is not None:
            await after()
    return {
        name: {
            "median": statistics.median(every),
            "p99": sorted(every)[int(len(every) * 0.99)],
            "over_the_tool": statistics.median(
                [one - base for one, base in zip(every, found["tool"], strict=True)],
            ),
        }
        for name, every in found.items()
    }


async def measured(times: int) -> dict[str, Any]:
    """A whole Watchkeeper, its API on loopback, in this process: clients and server share a processor."""
    with tempfile.TemporaryDirectory() as place:
        folder, port = Path(place), free_port()
        server = start_redis(folder, "--maxmemory", "32mb")
        said = {
            "data": str(folder / "data"),
            "only": [CACHE],
            "resources": [{"name": "cache", "kind": "redis", "url": server.url, "environment": "lab", "act": True}],
            "mcp": {"writes": True},
            "server": {"port": port, "limits": {"changes_per_minute": 100_000}},
        }
        try:
            async with running(Settings.model_validate(said)) as runtime, asyncio.timeout(600):
                await runtime.watch.first_looks()
                serving = uvicorn.Server(uvicorn.Config(create_app(runtime), port=port, log_level="error"))
                task = asyncio.create_task(serving.serve())
                while not serving.started:  # noqa: ASYNC110  (it tells nobody)
                    await asyncio.sleep(0.05)
                try:
                    return await turns(runtime, f"http://127.0.0.1:{port}", times)
                finally:
                    serving.should_exit = True
                    await task
        finally:
            server.stop()


if __name__ == "__main__":
    tell(__doc__, measured, 300)
