"""The official client, over stdio and over HTTP, with a real server and a real Redis behind it."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.agents.conftest import BIN, PATIENCE, Up
from tests.conftest import free_port
from watchkeeper.cli.bridge import Way

CHANGE = {"resource": "cache", "value": 32 << 20}


@asynccontextmanager
async def over_http(up: Up) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {up.token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False) as http,
        Client(streamable_http_client(f"{up.url}/mcp", http_client=http)) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(up: Up) -> AsyncIterator[Client]:
    command = StdioServerParameters(
        command=str(BIN / "watchkeeper"), args=["mcp"], cwd=str(up.folder), env=up.environment
    )
    async with Client(stdio_client(command)) as client:
        yield client


async def test_a_change_is_asked_for_over_stdio_approved_by_a_person_and_proven(up: Up) -> None:
    told: list[str] = []
    heard = asyncio.Event()

    async def progress(done: float, of: float | None, text: str | None) -> None:
        told.append(text or "")
        heard.set()

    async with asyncio.timeout(3 * PATIENCE), over_http(up) as http, over_stdio(up) as client:
        assert "You may ask for changes" in (client.instructions or "")
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"redis_flush", "redis_info", "get_incident", "fix_status"} <= names
        await told_the_same(http, client)
        looked = await answer(client, "redis_info", {"resource": "cache", "section": "memory"})
        assert looked["output"]["maxmemory"] == str(16 << 20)
        asked = await answer(client, "redis_set_maxmemory", CHANGE)
        assert asked["status"] == "awaiting_approval"
        given = {"fix": asked["fix_id"], "wait_seconds": PATIENCE}
        waits = asyncio.create_task(client.call_tool("fix_status", given, progress_callback=progress), name="waits")
        await heard.wait()
        with up.client() as person:
            await asyncio.to_thread(person.post, f"/api/approvals/{asked['approval_id']}/approve")
        done = (await waits).structured_content
        assert done is not None
        assert (done["status"], done["verdict"]) == ("closed", "still well")
        with up.client() as person:
            fix = await asyncio.to_thread(person.get, f"/api/fixes/{asked['fix_id']}")
        assert (fix["principal"]["kind"], fix["plan"]["author"]) == ("agent", "agent:mcp")
        with up.redis.client() as redis:
            assert redis.config_get("maxmemory")["maxmemory"] == str(32 << 20)
    assert "awaiting_approval" in told[0]


async def told_the_same(one: Client, other: Client) -> None:
    for client in (one, other):
        assert (await client.list_tools()).tools == (await one.list_tools()).tools
        assert (await client.list_prompts()).prompts == (await one.list_prompts()).prompts
        assert (await client.read_resource("watchkeeper://map")).contents[0].text
        assert (await client.get_prompt("review_runbook", {"runbook": "memory-full"})).messages
        out = await client.call_tool("redis_slowlog", {"resource": "cache", "count": 0})
        assert out.is_error
        assert "greater than or equal to 1" in out.content[0].text
        with pytest.raises(MCPError, match="did you mean 'redis_flush'"):
            await client.call_tool("redis_flsh", {})


async def test_a_server_that_has_gone_is_told_in_words() -> None:
    async with httpx2.AsyncClient(transport=Way(verify=True)) as http:
        answer = await http.post(f"http://127.0.0.1:{free_port()}/mcp", json={})
    assert "watchkeeper up" in answer.json()["error"]["message"]


def test_without_the_token_it_says_what_to_do(up: Up, tmp_path: Path) -> None:
    def typed(*arguments: str) -> Any:
        return subprocess.run(
            [BIN / "watchkeeper", *arguments, "mcp"],
            cwd=tmp_path,
            env=up.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    stranger = typed("--url", up.url, "--data", str(tmp_path))
    assert (stranger.returncode, "token" in stranger.stderr) == (2, True)
    (tmp_path / "token").write_text("of another server")
    wrong = typed("--url", up.url, "--data", str(tmp_path))
    assert (wrong.returncode, "The token is not known" in wrong.stderr) == (2, True)


async def answer(client: Client, tool: str, given: dict[str, Any]) -> dict[str, Any]:
    done = await client.call_tool(tool, given)
    assert not done.is_error, done.content
    assert done.structured_content is not None
    return done.structured_content
