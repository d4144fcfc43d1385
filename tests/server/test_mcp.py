"""What an agent sees and may do at `/mcp`, asked with the official client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.following import heard
from tests.server.conftest import PATIENCE, Thing
from tests.server.test_approvals import closed
from tests.server.test_door import problem
from watchkeeper.domain import Approval, LogLine, now
from watchkeeper.server import Runtime
from watchkeeper.server.mcp.bounded import LARGEST, bounded

OURS = {
    "get_status",
    "list_incidents",
    "get_incident",
    "search_runbooks",
    "query_readings",
    "search_logs",
    "fix_status",
    "submit_plan",
}
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
INITIALIZE = json.dumps(
    HELLO
    | {
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
)
ACCEPT = {"Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def connected(address: str, runtime: Runtime, mode: Any = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {runtime.token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.fixture
def agent(address: str, runtime: Runtime) -> Callable[..., Any]:
    return lambda mode="auto": connected(address, runtime, mode)


@pytest.fixture
def writes(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.settings.mcp, "writes", True)


async def answer(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    done = await client.call_tool(tool, given)
    assert not done.is_error, done.content
    assert done.structured_content is not None
    return done.structured_content


async def refusal(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    done = await client.call_tool(tool, given)
    assert (done.is_error, done.structured_content) == (True, None)  # clients hold that against the tool's schema
    said = json.loads(done.content[0].text)
    assert said["status"] == "refused"
    return said


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_every_tool_is_listed_with_what_an_agent_needs(
    mode: str, agent: Callable[..., Any], viewer: httpx.AsyncClient
) -> None:
    async with agent(mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    connectors = {tool["name"]: tool for tool in (await viewer.get("/api/mcp/tools")).json()["items"]}
    assert set(tools) == OURS | set(connectors)
    for tool in tools.values():
        assert tool.title
        assert tool.description
        assert tool.output_schema
        assert tool.annotations is not None
    change, wipe, look = tools["memo_set"], tools["memo_wipe"], tools["memo_show"]
    assert change.input_schema["required"] == ["resource", "value"]
    assert change.input_schema["properties"]["value"]["maximum"] == 2
    assert "Somebody put it up" in change.description
    hints = [
        (t.annotations.read_only_hint, t.annotations.destructive_hint, t.annotations.idempotent_hint)
        for t in (look, change, wipe)
    ]
    assert hints == [(True, False, True), (False, False, True), (False, True, False)]
    assert look.output_schema["properties"]["output"]["type"] == "object"


async def test_a_look_answers_and_is_recorded_as_an_agents(
    thing: Thing, agent: Callable[..., Any], runtime: Runtime
) -> None:
    async with agent() as client:
        done = await client.call_tool("memo_show", {"resource": thing.slug, "note": "here"})
    assert done.structured_content == {"status": "done", "output": {"level": 0.1, "note": "here"}}
    assert json.loads(done.content[0].text) == done.structured_content
    told = await heard(runtime, "tool.called", thing.id)  # a moment later: nobody waits for it
    assert (told.by, told.resource) == ("agent:mcp", thing.id)


async def test_unless_writing_is_opted_into_nothing_is_changed(thing: Thing, agent: Callable[..., Any]) -> None:
    async with agent() as client:
        said = await refusal(client, "memo_set", resource=thing.slug, value=0.4)
        steps = [{"tool": "memo_set", "resource": thing.slug, "arguments": {"value": 0.4}}]
        again = await refusal(client, "submit_plan", steps=steps, cause="a guess")
    for one in (said, again):
        assert "only look" in one["why"]
        assert "mcp: {writes: true}" in one["next"]
    assert thing.changes == []


@pytest.mark.usefixtures("writes")
async def test_a_change_waits_for_a_person_and_is_collected_once_it_is_done(
    thing: Thing, agent: Callable[..., Any], runtime: Runtime, operator: httpx.AsyncClient
) -> None:
    async with agent() as client:
        asked = await answer(client, "memo_set", resource=thing.slug, value=0.4)
        assert asked["status"] == "awaiting_approval"
        assert asked["expires_at"]
        waits = await answer(client, "fix_status", fix=asked["fix_id"])
        assert (waits["status"], waits["over"], waits["approval_id"]) == (
            "awaiting_approval",
            False,
            asked["approval_id"],
        )
        assert thing.changes == []
        row = await runtime.store.get(Approval, asked["approval_id"])
        assert (row.requested_by.id, row.plan.author) == ("agent:mcp", "agent:mcp")
        assert (await operator.post(f"/api/approvals/{row.id}/approve", json={})).status_code == 200
        done = await answer(client, "fix_status", fix=asked["approval_id"], wait_seconds=PATIENCE)
    assert (done["status"], done["verdict"], done["over"]) == ("closed", "still well", True)
    assert done["decided_by"].startswith("person:")
    assert done["steps"][0]["status"] == "done"
    assert thing.changes == [0.4]


@pytest.mark.usefixtures("writes")
async def test_a_refusal_of_a_person_is_told(
    thing: Thing, agent: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    async with agent() as client:
        asked = await answer(client, "memo_set", resource=thing.slug, value=0.4)
        waiting = asyncio.create_task(
            answer(client, "fix_status", fix=asked["fix_id"], wait_seconds=PATIENCE), name="waits"
        )
        await operator.post(f"/api/approvals/{asked['approval_id']}/reject", json={"note": "not today"})
        said = await waiting
    assert (said["status"], said["over"], said["note"]) == ("rejected", True, "not today")
    assert thing.changes == []


@pytest.mark.usefixtures("writes")
async def test_the_same_is_asked_for_once_and_not_without_end(
    thing: Thing, agent: Callable[..., Any], operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchkeeper.server.mcp.asking.MOST", 2)
    async with agent() as client:
        first = await answer(client, "memo_set", resource=thing.slug, value=0.4)
        again = await answer(client, "memo_set", resource=thing.id, value=0.4)
        other = await answer(client, "memo_set", resource=thing.slug, value=0.3)
        said = await refusal(client, "memo_set", resource=thing.slug, value=0.2)
        assert (first["fix_id"], first["expires_at"]) == (again["fix_id"], again["expires_at"])
        assert other["fix_id"] != first["fix_id"]
        assert "2 changes that agents asked for wait" in said["why"]
        for one in (first, other):
            await operator.post(f"/api/approvals/{one['approval_id']}/reject", json={})
        anew = await answer(client, "memo_set", resource=thing.slug, value=0.4)
        assert anew["fix_id"] != first["fix_id"]
        await operator.post(f"/api/approvals/{anew['approval_id']}/reject", json={})
    assert thing.changes == []


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.usefixtures("writes")
async def test_progress_is_told_and_cancelling_ends_the_waiting_and_never_the_fix(
    mode: str, thing: Thing, agent: Callable[..., Any], runtime: Runtime, operator: httpx.AsyncClient
) -> None:
    told: list[tuple[float, float | None, str | None]] = []
    heard = asyncio.Event()

    async def progress(done: float, of: float | None, text: str | None) -> None:
        told.append((done, of, text))
        heard.set()

    async with agent(mode) as client:
        asked = await answer(client, "memo_slow", resource=thing.slug, value=0.3)
        await operator.post(f"/api/approvals/{asked['approval_id']}/approve", json={})
        await thing.begun()
        given = {"fix": asked["fix_id"], "wait_seconds": 300}
        waiting = asyncio.create_task(client.call_tool("fix_status", given, progress_callback=progress), name="waits")
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        thing.let_go()
        assert (await closed(runtime, asked["fix_id"])).verdict.outcome == "healed"  # type: ignore[union-attr]
    assert "running" in (told[0][2] or "")
    assert thing.changes == [0.3]


@pytest.mark.usefixtures("writes")
async def test_a_plan_of_several_steps_is_one_fix(
    thing: Thing, agent: Callable[..., Any], runtime: Runtime, operator: httpx.AsyncClient
) -> None:
    steps = [
        {"tool": "memo_set", "resource": thing.slug, "arguments": {"value": value}, "why": f"to {value}"}
        for value in (0.5, 0.3)
    ]
    async with agent() as client:
        asked = await answer(client, "submit_plan", steps=steps, cause="It is too high.")
        assert asked["status"] == "awaiting_approval"
        await operator.post(f"/api/approvals/{asked['approval_id']}/approve", json={})
        done = await answer(client, "fix_status", fix=asked["fix_id"], wait_seconds=PATIENCE)
    assert (done["verdict"], [step["status"] for step in done["steps"]]) == ("still well", ["done", "done"])
    row = await runtime.store.get(Approval, asked["approval_id"])
    assert row.plan.diagnosis is not None
    assert (row.plan.diagnosis.cause, row.plan.diagnosis.author) == ("It is too high.", "agent:mcp")
    assert thing.changes == [0.5, 0.3]


@pytest.mark.usefixtures("writes")
async def test_what_policy_denies_is_refused_with_its_reason(
    things: Callable[..., Any], agent: Callable[..., Any]
) -> None:
    thing: Thing = await things(may_act=False)
    async with agent() as client:
        said = await refusal(client, "memo_set", resource=thing.slug, value=0.4)
    assert "not-permitted" in said["why"]
    assert thing.changes == []


async def test_an_incident_is_told_with_its_evidence(thing: Thing, agent: Callable[..., Any]) -> None:
    thing.put(1.0)
    waiting = await thing.approval()
    async with agent() as client:
        status = await answer(client, "get_status", limit=100)
        (mine,) = [item for item in status["items"] if item["resource"] == thing.slug]
        assert (mine["health"], mine["alerts"], mine["incident"]) == ("DEGRADED", ["memo-high"], waiting["incident"])
        listed = await answer(client, "list_incidents", limit=50)
        (line,) = [item for item in listed["items"] if item["id"] == waiting["incident"]]
        assert (line["cause"], line["waits_for"]) == ("Somebody put it up.", waiting["id"])
        story = await answer(client, "get_incident", incident=waiting["incident"], events=1)
        page = await client.read_resource(f"watchkeeper://incidents/{waiting['incident']}")
        asked = await client.get_prompt("diagnose", {"incident": waiting["incident"]})
    assert story["evidence"]
    assert story["advice"]["steps"][0]["tool"] == "memo_set"
    assert len(story["events"]) == 1
    assert "earlier events" in story["left_out"][0]
    assert page.contents[0].text.startswith(f"# {waiting['incident']}")
    assert page.contents[0].text[:40] in asked.messages[0].content.text
    thing.put(0.1)
    await thing.event("incident.closed")


async def test_runbooks_readings_and_logs_are_searched(
    thing: Thing, agent: Callable[..., Any], runtime: Runtime
) -> None:
    async with runtime.store.transaction() as transaction:
        lines = [LogLine(now(), "ERROR", f"Boom {number} at {thing.slug}", thing.id) for number in range(5)]
        await transaction.keep_logs(lines)
    async with agent() as client:
        books = await answer(client, "search_runbooks", query="somebody put it up", kind="memo")
        one = await answer(client, "search_runbooks", query="high")
        readings = await answer(client, "query_readings", resource=thing.slug, metrics=["level", "nothing"], points=2)
        first = await answer(client, "search_logs", text="boom", resource=thing.slug, level="ERROR", limit=3)
        rest = await answer(client, "search_logs", text="boom", resource=thing.slug, limit=3, before=first["next"])
        none = await answer(client, "search_logs", text="100%", resource=thing.slug)
    assert books["items"][0]["name"] == "high"
    assert "# High" in one["items"][0]["page"]
    assert readings["metrics"][0]["last"] == 0.1
    assert len(readings["metrics"][0]["points"]) <= 2
    assert "nothing: not among what is read of it" in readings["left_out"]
    assert [line["text"].split()[1] for line in (*first["items"], *rest["items"])] == ["4", "3", "2", "1", "0"]
    assert none["items"] == []


async def test_resources_and_prompts_are_there(thing: Thing, agent: Callable[..., Any]) -> None:
    async with agent() as client:
        uris = [str(found.uri) for found in (await client.list_resources()).resources]
        pages = {uri: json.loads((await client.read_resource(uri)).contents[0].text) for uri in uris}
        templates = (await client.list_resource_templates()).resource_templates
        prompts = (await client.list_prompts()).prompts
        review = await client.get_prompt("review_runbook", {"runbook": "high"})
        with pytest.raises(MCPError, match="health"):
            await client.read_resource("watchkeeper://nothing")
        with pytest.raises(MCPError, match="needs `incident`"):
            await client.get_prompt("postmortem", {})
    assert thing.slug in {item["resource"] for item in pages["watchkeeper://health"]["items"]}
    assert {"watchkeeper://incidents", "watchkeeper://runbooks", "watchkeeper://map"} <= set(pages)
    assert {template.name for template in templates} == {"incident", "runbook"}
    assert {prompt.name for prompt in prompts} == {"diagnose", "postmortem", "review_runbook"}
    assert "memo_set" in review.messages[0].content.text


async def test_bad_input_is_told_what_is_wrong(thing: Thing, agent: Callable[..., Any]) -> None:
    async with agent() as client:
        with pytest.raises(MCPError, match="did you mean 'memo_show'"):
            await client.call_tool("memo_shew", {"resource": thing.slug})
        unknown = await refusal(client, "memo_show", resource=f"{thing.slug}x")
        missing = await refusal(client, "memo_show")
        wrong = await refusal(client, "memo_show", resource=thing.slug, nte="x")
        bounds = await refusal(client, "list_incidents", limit=500)
        hangs = await refusal(client, "memo_hang", resource=thing.slug)
        nothing = await refusal(client, "fix_status", fix="fix-none")
        incident = await refusal(client, "get_incident", incident="inc-none")
    assert f"did you mean {thing.slug!r}" in unknown["why"]
    assert "needs `resource`" in missing["why"]
    assert "nte" in wrong["why"]
    assert "less than or equal to 50" in bounds["why"]
    assert "no result within 0.1 s" in hangs["why"]
    assert "fix-none" in nothing["why"]
    assert "inc-none" in incident["why"]


async def test_no_secret_leaves(thing: Thing, agent: Callable[..., Any], runtime: Runtime) -> None:
    runtime.store.masker.learn("sesame-77-sesame")
    async with agent() as client:
        shown = await client.call_tool("memo_show", {"resource": thing.slug, "note": "AUTH sesame-77-sesame"})
        said = await client.call_tool("memo_show", {"resource": "sesame-77-sesame"})
    assert "sesame" not in shown.model_dump_json()
    assert "sesame" not in said.model_dump_json()
    assert shown.structured_content is not None
    assert shown.structured_content["output"]["note"] == "AUTH •••"


async def test_a_long_answer_is_cut_and_says_so(thing: Thing, agent: Callable[..., Any]) -> None:
    async with agent() as client:
        said = await answer(client, "memo_show", resource=thing.slug, note="x" * 50_000)
    assert len(json.dumps(said)) < LARGEST
    assert "characters left out" in said["left_out"][0]


@pytest.mark.parametrize("text", ["\x00", "ü•😀", '"}]'])
async def test_any_text_is_answered(text: str, thing: Thing, operator: httpx.AsyncClient) -> None:
    given = {"name": "memo_show", "arguments": {"resource": thing.slug, "note": text}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": given})
    headers = ACCEPT | {"Content-Type": "application/json", "Mcp-Protocol-Version": "2025-06-18"}
    opened = await operator.post("/mcp", content=INITIALIZE, headers=headers)
    headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
    done = await operator.post("/mcp", content=body, headers=headers)
    assert done.status_code == 200, done.text
    assert "result" in done.text


def test_what_fits_is_left_as_it_is() -> None:
    whole = {"lines": ["a", "b"], "of": {"n": 1.5, "none": None}}
    assert bounded(whole) == (whole, [])


def test_what_is_no_text_or_number_is_made_one() -> None:
    cut, _ = bounded({"key\udcff": ["\ud800 half", float("nan"), float("inf"), 1.5]})
    assert json.loads(json.dumps(cut, allow_nan=False).encode()) == {"key?": ["? half", None, None, 1.5]}


def test_whatever_it_is_the_answer_is_bounded() -> None:
    wild = {f"key{i}": [{"text": "y" * 500, "rows": list(range(90))} for _ in range(90)] for i in range(90)}
    cut, said = bounded(wild)
    assert len(json.dumps(cut)) <= LARGEST
    assert said
    assert said[-1].endswith("more cuts")


async def test_without_the_token_nobody_comes_in(viewer: httpx.AsyncClient) -> None:
    said = problem(await viewer.post("/mcp", json=HELLO, headers=ACCEPT), 401)
    assert "Bearer" in said["next"]
    problem(await viewer.post("/mcp", json=HELLO, headers=ACCEPT | {"Authorization": "Bearer wrong"}), 401)
    problem(await viewer.get("/mcp"), 401)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_another_host_or_page_is_turned_away(headers: dict[str, str], operator: httpx.AsyncClient) -> None:
    problem(await operator.post("/mcp", json=HELLO, headers=ACCEPT | headers), 403)


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', b"\xff"])
async def test_what_is_no_message_of_the_protocol_is_an_error_of_the_client(
    body: bytes, operator: httpx.AsyncClient
) -> None:
    headers = ACCEPT | {"Content-Type": "application/json"}
    done = await operator.post("/mcp", content=body, headers=headers)
    assert 400 <= done.status_code < 500, done.text
