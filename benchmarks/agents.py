"""What a call costs an agent: the same look-up of a real Redis by the tool itself, handed to the loop, over the API,
and over MCP; and the same change. `ping` is a request of the protocol that does nothing: client, HTTP and SDK.

Run: .venv/bin/python -m benchmarks.agents --json benchmarks/results/agents.json

They take turns, so that whatever else the machine does disturbs all alike. Times in milliseconds; `over_the_tool`, and
`over_the_loop`, are medians of the differences within one turn; `cpu` is the median of what the process used. Both
ends of each call share this process: what the client costs is in it. A change is asked for in mode `approve`: a fresh
look, the policy, and a request on disk before the answer (`awaiting_approval`); it is not carried out, so that its
`tool` is what the change itself would take. Look, policy and record are the product, whoever asks: what MCP itself
costs is `over_the_loop`.
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
from watchkeeper.domain import Principal
from watchkeeper.server import Runtime, create_app, running
from watchkeeper.server.mcp.call import AGENT
from watchkeeper.settings import Settings

CHANGE = {"value": 128 << 20}
CACHE = "local/lab/redis/cache"
LOOK_UP = {"resource": "cache", "section": "memory"}


async def taken(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Milliseconds: of the clock, and of processors."""
    began, used = time.perf_counter(), time.process_time()
    await work()
    return (time.perf_counter() - began) * 1e3, (time.process_time() - used) * 1e3


async def agents_own(url: str, bearer: dict[str, str]) -> dict[str, str]:
    """What an agent shows over the API: what it asks for waits for a person, as over MCP."""
    async with httpx.AsyncClient(base_url=url, headers=bearer, trust_env=False) as client:
        made = (await client.post("/api/tokens", json={"role": "agent", "name": "bot"})).raise_for_status().json()
    return {"Authorization": f"Bearer {made['token']}"}


async def turns(runtime: Runtime, url: str, times: int) -> dict[str, Any]:
    """Each way once, again and again."""
    bearer = {"Authorization": f"Bearer {runtime.token}"}
    tool = runtime.decide.tool("redis_info")
    watcher = runtime.watch.watchers[CACHE]
    async with (
        httpx.AsyncClient(base_url=url, headers=bearer, timeout=60, trust_env=False) as api,
        httpx.AsyncClient(base_url=url, headers=await agents_own(url, bearer), timeout=60, trust_env=False) as bot,
        httpx2.AsyncClient(headers=bearer, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as agent,
        watcher.connector.connect(watcher.resource, None) as session,
    ):

        async def direct() -> None:
            assert (await tool.run(session, section="memory"))["maxmemory"]

        async def looped(name: str, arguments: dict[str, Any], situation: Any, who: Principal) -> Any:
            found = runtime.watch.resource("cache")
            return await runtime.loop.submit(runtime.decide.plan_for(name, found, arguments, who, situation), who)

        async def by_loop() -> None:
            seen = runtime.watch.situation((CACHE,))
            assert (await looped("redis_info", {"section": "memory"}, seen, AGENT)).output

        async def ping() -> None:
            await agent.list_prompts()

        async def over_api() -> None:
            body = {"resource": "cache", "arguments": {"section": "memory"}}
            assert (await api.post("/api/mcp/tools/redis_info", json=body)).raise_for_status()

        async def over_mcp() -> None:
            assert not (await agent.call_tool("redis_info", LOOK_UP)).is_error

        changing = runtime.decide.tool("redis_set_maxmemory")

        async def change() -> None:
            await changing.run(session, value=64 << 20)  # less: only more is asked for

        async def change_by_loop() -> None:
            seen = await runtime.watch.look((CACHE,))
            assert (await looped("redis_set_maxmemory", {"value": 96 << 20}, seen, AGENT)).approval is not None

        async def change_over_api() -> None:
            body = {"resource": "cache", "arguments": {"value": 112 << 20}}
            said = (await bot.post("/api/mcp/tools/redis_set_maxmemory", json=body)).raise_for_status().json()
            assert said["status"] == "awaiting_approval", said

        async def change_over_mcp() -> None:
            asked = await agent.call_tool("redis_set_maxmemory", CHANGE | {"resource": "cache"})
            assert asked.structured_content["status"] == "awaiting_approval", asked

        async def settled() -> None:
            """Nothing waits any more: the same asked for again would be the same request."""
            for approval in (await api.get("/api/approvals")).json()["items"]:
                if approval["status"] == "waiting":
                    await api.post(f"/api/approvals/{approval['id']}/reject", json={})

        ways = {"tool": direct, "loop": by_loop, "api": over_api, "mcp": over_mcp, "ping": ping}
        changes = {"tool": change, "loop": change_by_loop, "api": change_over_api, "mcp": change_over_mcp}
        return {"look-up": await compared(ways, times), "change": await compared(changes, times, settled)}


async def compared(
    ways: Mapping[str, Callable[[], Awaitable[Any]]], times: int, after: Callable[[], Awaitable[Any]] | None = None
) -> dict[str, Any]:
    """Each once, again and again; `after` each turn."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    used: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(times + 20):
        for name, way in ways.items():
            took, cpu = await taken(way)
            if number >= 20:  # until everything is warm
                found[name].append(took)
                used[name].append(cpu)
        if after is not None:
            await after()
    return {
        name: {
            "median": statistics.median(every),
            "p99": sorted(every)[int(len(every) * 0.99)],
            "cpu": statistics.median(used[name]),
            "over_the_tool": over(every, found["tool"]),
            "over_the_loop": over(every, found["loop"]),
        }
        for name, every in found.items()
    }


def over(these: list[float], others: list[float]) -> float:
    return statistics.median([one - base for one, base in zip(these, others, strict=True)])


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
