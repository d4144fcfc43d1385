"""An agent without a model, for the planner's seat: it knows four faults and nothing else.

Run, beside `watchkeeper bench run --planner mcp`, which prints both:
.venv/bin/python -m benchmarks.agent URL TOKEN-FILE

It shows what an agent has to do, and that the seat works. How well a model reasons there is for its own run to tell.
"""

import argparse
import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

Answer = Mapping[str, Any]
Steps = list[dict[str, Any]]
WAIT = 300


def step(tool: str, resource: str, **arguments: Any) -> Steps:
    return [{"tool": tool, "resource": resource, "arguments": arguments}]


def room(resource: str, read: Answer) -> Steps:
    """Raise maxmemory where that leaves room, else remove cache keys."""
    last = {one["name"]: one["last"] for one in read["metrics"]}
    safe, used = last.get("safe_maxmemory_bytes", 0), last.get("used_memory_bytes", 0)
    if safe > 1.1 * last.get("maxmemory_bytes", 0) and used < 0.85 * safe:
        return step("redis_set_maxmemory", resource, value=int(safe))
    return step("redis_expire_cache_keys", resource, down_to_ratio=0.7)


KNOWN: Mapping[str, Callable[[str, Answer], Steps]] = {
    "redis-memory-full": room,
    "postgres-blocking-chain": lambda it, _: step(
        "postgres_kill_idle_in_transaction", it, min_seconds=5, only_blocking=True
    ),
    "container-killed": lambda it, _: step("docker_start", it),
    "container-paused": lambda it, _: step("docker_unpause", it),
}


async def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("url", help="http://127.0.0.1:PORT/mcp")
    asked.add_argument("token", type=Path, help="the file that holds it")
    given = asked.parse_args()
    print("waiting for incidents; Ctrl-C ends it", flush=True)
    while True:
        try:
            await connected(given.url, given.token.read_text().strip())
        except (OSError, MCPError, ExceptionGroup, httpx2.HTTPError) as problem:
            print(f"anew: {type(problem).__name__}", flush=True)
            await asyncio.sleep(1.0)  # the benchmark starts its server anew for each fault, and tells nobody


async def connected(url: str, token: str) -> None:
    """Until the server ends."""
    seen: set[str] = set()
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=WAIT + 60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        while True:
            listed = await answer(client, "list_incidents", wait_seconds=WAIT)
            fresh = [one["id"] for one in listed.get("items", []) if one["id"] not in seen]
            for key in fresh:
                seen.add(key)
                await planned(client, key)
            if not fresh:
                await asyncio.sleep(0.5)  # what it does not know stays open; the list would answer at once


async def planned(client: Client, key: str) -> None:
    """Hand in a plan for one incident, where it is one of those that are known."""
    story = await answer(client, "get_incident", incident=key)
    for alert in story["alerts"]:
        if plan := KNOWN.get(alert["rule"]):
            read = await answer(client, "query_readings", resource=alert["resource"])
            steps = plan(alert["resource"], read)
            done = await answer(client, "submit_plan", incident=key, steps=steps, cause=alert["why"])
            print(f"{key}: {alert['rule']} on {alert['resource']}: {steps[0]['tool']}: {done['status']}", flush=True)
            return
    await answer(client, "leave_incident", incident=key, why="It is none of the four faults I know.")
    print(f"{key}: nothing is known about {', '.join(one['rule'] for one in story['alerts'])}", flush=True)


async def answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    done = await client.call_tool(tool, arguments)
    if done.is_error or done.structured_content is None:
        print(f"{tool} is refused: {done.content[0] if done.content else ''}", flush=True)
        return {"status": "refused", "items": [], "alerts": [], "metrics": []}
    return done.structured_content


if __name__ == "__main__":
    asyncio.run(main())
