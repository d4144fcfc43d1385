"""Tokens: each opens what its role may and nothing else, from the moment it is made until it is revoked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE, Thing
from tests.server.test_door import problem
from watchkeeper.domain import now
from watchkeeper.domain.access import Token
from watchkeeper.server import Runtime

Client = httpx.AsyncClient
Comes = Callable[..., Awaitable[Client]]
ROLES = ("viewer", "agent", "operator", "approver", "admin")


@pytest.fixture
async def comes(address: str, operator: Client) -> AsyncIterator[Comes]:
    """Somebody with a token of their own: `comes("viewer", name="ada")`."""
    async with AsyncExitStack() as stack:

        async def come(role: str, name: str = "ada", **more: Any) -> Client:
            made = await operator.post("/api/tokens", json={"role": role, "name": name, **more})
            assert made.status_code == 201, made.text
            headers = {"Authorization": f"Bearer {made.json()['token']}", "X-Id": made.json()["view"]["id"]}
            client = httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE, verify=False)
            return await stack.enter_async_context(client)

        yield come


async def listed(operator: Client, of: Client) -> dict[str, Any]:
    items = (await operator.get("/api/tokens")).json()["items"]
    return next(item for item in items if item["id"] == of.headers["X-Id"])


async def test_a_viewer_changes_nothing_whatever_there_is_to_change(comes: Comes, viewer: Client) -> None:
    """Every operation of the API that is no look."""
    ada = await comes("viewer")
    tried = 0
    for path, methods in (await viewer.get("/openapi.json")).json()["paths"].items():
        for method in set(methods) & {"post", "put", "patch", "delete"}:
            there = path.replace("{", "").replace("}", "")
            if there.endswith("/slack/actions"):  # no token opens it, but Slack's signature: test_slack.py
                continue
            if path != "/api/llm/chat":  # who looks may ask; nothing is changed by it
                problem(await ada.request(method, there, json={}), 403)
            problem(await viewer.request(method, there, json={}), 401)
            tried += 1
    assert tried > 10
    assert (await ada.get("/api/resources")).status_code == 200


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/api/mcp/tools/none", ("agent", "operator", "approver", "admin")),
        ("/api/fixes/trigger", ("operator", "approver", "admin")),
        ("/api/resume", ("operator", "approver", "admin")),
        ("/api/approvals/none/approve", ("approver", "admin")),
        ("/api/approvals/none/reject", ("approver", "admin")),
        ("/api/incidents/none/approve", ("approver", "admin")),
        ("/api/tokens", ("admin",)),
    ],
)
async def test_each_role_may_what_it_may_and_no_more(path: str, may: tuple[str, ...], comes: Comes) -> None:
    for role in ROLES:
        answer = await (await comes(role)).post(path, json={})
        if role in may:
            assert answer.status_code in (200, 404, 422), (role, answer.text)
        else:
            assert f"has the role {role}" in problem(answer, 403)["detail"]


async def test_what_an_operator_submits_waits_for_an_approver(comes: Comes, thing: Thing, viewer: Client) -> None:
    ada, bob = await comes("operator"), await comes("approver", "bob")
    said = (await ada.post("/api/mcp/tools/memo_set", json=wanted(thing))).json()
    problem(await ada.post(f"/api/approvals/{said['approval_id']}/approve", json={}), 403)
    assert (said["status"], thing.changes) == ("awaiting_approval", [])

    assert (await bob.post(f"/api/approvals/{said['approval_id']}/approve", json={})).status_code == 200
    await thing.event("fix.done", "fix.healed", "fix.closed", "fix.inconclusive", "fix.executed")
    assert thing.changes == [0.2]
    fix = (await viewer.get(f"/api/fixes/{said['fix_id']}")).json()
    assert (fix["principal"]["name"], fix["approved_by"]) == ("ada", "person:bob")


async def test_an_agents_call_waits_and_no_agent_agrees_to_it(comes: Comes, thing: Thing) -> None:
    agent = await comes("agent", "copilot")
    said = (await agent.post("/api/mcp/tools/memo_set", json=wanted(thing))).json()
    problem(await agent.post(f"/api/approvals/{said['approval_id']}/approve", json={}), 403)
    assert (said["status"], thing.changes) == ("awaiting_approval", [])


def wanted(thing: Thing) -> dict[str, Any]:
    return {"resource": thing.slug, "arguments": {"value": 0.2}}


async def test_a_token_is_shown_once_and_kept_only_as_its_hash(
    comes: Comes, operator: Client, runtime: Runtime
) -> None:
    ada = await comes("viewer")
    secret = ada.headers["Authorization"].removeprefix(f"Bearer wk_{ada.headers['X-Id']}_")
    kept = await runtime.store.get(Token, ada.headers["X-Id"])
    everything = (await operator.get("/api/tokens")).text + (await operator.get("/api/events?limit=200")).text

    assert secret not in repr(kept)
    assert secret not in everything
    assert kept.hash not in everything
    assert runtime.store.masker.text(f"token {ada.headers['Authorization']}").endswith("•••")


async def test_a_revoked_token_opens_nothing_from_then_on(comes: Comes, operator: Client) -> None:
    ada = await comes("approver")
    assert (await ada.get("/api/resources")).status_code == 200
    assert (await operator.delete(f"/api/tokens/{ada.headers['X-Id']}")).json()["status"] == "revoked"

    problem(await ada.get("/api/resources"), 401)
    problem(await operator.delete(f"/api/tokens/{ada.headers['X-Id']}"), 409)
    problem(await operator.delete("/api/tokens/tok-none"), 404)


async def test_an_expired_token_opens_nothing(comes: Comes, operator: Client, runtime: Runtime) -> None:
    ada = await comes("viewer", expires="30d")
    assert (await ada.get("/api/resources")).status_code == 200
    token = await runtime.store.get(Token, ada.headers["X-Id"])
    await runtime.store.save(replace(token, expires_at=now()))

    problem(await ada.get("/api/resources"), 401)
    assert (await listed(operator, ada))["status"] == "expired"


async def test_its_last_use_is_told(comes: Comes, operator: Client) -> None:
    ada = await comes("viewer")
    assert (await listed(operator, ada))["used_at"] is None
    await ada.get("/api/resources")
    assert (await listed(operator, ada))["used_at"] is not None


async def test_a_token_that_nearly_fits_opens_nothing(comes: Comes, address: str) -> None:
    ada = await comes("admin")
    shown = ada.headers["Authorization"]
    head, name, secret = shown.removeprefix("Bearer wk_").partition("_")
    for wrong in (
        shown[:-1],
        f"{shown}x",
        f"Bearer wk_tok-00000000{name}{secret}",
        f"Bearer {secret}",
        f"Bearer {head}",
    ):
        problem(await ada.get("/api/resources", headers={"Authorization": wrong}), 401)


@pytest.mark.parametrize(
    "body",
    [
        {"role": "loop", "name": "x"},
        {"role": "viewer"},
        {"role": "viewer", "name": "a b"},
        {"role": "viewer", "name": "x", "expires": "soon"},
        {"role": "viewer", "name": "x", "expires": "9999d"},
    ],
)
async def test_a_token_that_cannot_be_is_told_why(body: dict[str, Any], operator: Client) -> None:
    answer = await operator.post("/api/tokens", json=body)
    problem(answer, 400 if body.get("expires") == "soon" else 422)


async def test_every_answer_keeps_a_browser_from_what_it_was_not_asked_for(viewer: Client) -> None:
    for path in ("/api/resources", "/api/nothing", "/metrics"):
        headers = (await viewer.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
    refused = await viewer.get("/api/resources", headers={"Host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"
