"""Who may do what, and what is turned away at the door."""

import stat
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.conftest import Thing
from watchkeeper.server import Runtime
from watchkeeper.server.security import LARGEST_BODY

LOOKS = [
    "/api/resources",
    "/api/resources/status",
    "/api/incidents",
    "/api/approvals",
    "/api/fixes",
    "/api/mcp/tools",
    "/api/runbooks",
    "/api/rules",
    "/api/policy",
    "/api/events",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/",
]
CHANGES = [
    "/api/fixes/trigger",
    "/api/mcp/tools/memo_set",
    "/api/pause",
    "/api/resume",
    "/api/approvals/apr-1/approve",
    "/api/approvals/apr-1/reject",
    "/api/incidents/inc-1/approve",
    "/api/incidents/inc-1/reject",
]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    return said


@pytest.mark.parametrize("path", LOOKS)
async def test_without_a_token_one_may_look(path: str, viewer: httpx.AsyncClient, thing: Thing) -> None:
    assert (await viewer.get(path)).status_code == 200


async def test_the_pages_of_the_api_lead_to_what_is_there_and_load_nothing_from_elsewhere(
    viewer: httpx.AsyncClient,
) -> None:
    front = (await viewer.get("/")).json()
    docs = (await viewer.get("/docs")).text

    for name, path in front.items():
        if name not in ("watchkeeper", "mcp"):
            assert (await viewer.get(path)).status_code != 404, path
    assert "/api/incidents/{key}/approve" in docs
    assert not any(word in docs for word in ("http://", "https://", "<script", "src=", "@import"))


@pytest.mark.parametrize("path", CHANGES)
async def test_without_a_token_nothing_is_changed(path: str, viewer: httpx.AsyncClient) -> None:
    answer = await viewer.post(path, json={})
    said = problem(answer, 401)
    assert "Bearer" in said["next"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["Bearer wrong", "Basic {token}", "Bearer {token}x", "{token}", "Bearer ü"])
async def test_with_a_wrong_token_nothing_is_changed(token: str, viewer: httpx.AsyncClient, runtime: Runtime) -> None:
    header = token.format(token=runtime.token).encode("latin-1")
    problem(await viewer.post("/api/pause", headers={b"Authorization": header}), 401)


async def test_the_token_is_readable_by_its_user_alone(runtime: Runtime) -> None:
    path = runtime.settings.data / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() == runtime.token
    assert len(runtime.token) > 30


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", "[::2]"]
)
async def test_another_host_is_turned_away(host: str, viewer: httpx.AsyncClient) -> None:
    problem(await viewer.get("/api/resources", headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000", "[::1]", "LOCALHOST"])
async def test_a_name_of_this_machine_is_fine(host: str, viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/api/resources", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://evil.example:8000", "null", "http://localhost.evil"]
)
async def test_a_page_of_another_origin_is_turned_away(origin: str, operator: httpx.AsyncClient) -> None:
    problem(await operator.post("/api/resume", headers={"Origin": origin}), 403)


async def test_a_page_of_our_own_is_fine(operator: httpx.AsyncClient, address: str) -> None:
    assert (await operator.post("/api/resume", headers={"Origin": address})).status_code == 200


async def test_a_request_too_large_is_turned_away(operator: httpx.AsyncClient) -> None:
    said = problem(await operator.post("/api/fixes/trigger", content=b" " * (LARGEST_BODY + 1)), 413)
    assert str(LARGEST_BODY) in said["detail"]


async def test_a_request_too_large_that_does_not_say_so_is_turned_away(operator: httpx.AsyncClient) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    async def come() -> Any:
        for piece in pieces():
            yield piece

    problem(await operator.post("/api/fixes/trigger", content=come()), 413)


async def test_a_request_in_pieces_that_is_small_is_fine(operator: httpx.AsyncClient) -> None:
    async def come() -> Any:
        yield b'{"resource": '
        yield b'"nothing-of-that-name"}'

    answer = await operator.post("/api/fixes/trigger", content=come(), headers={"Content-Type": "application/json"})
    problem(answer, 404)


async def test_what_does_not_exist_is_a_problem_too(viewer: httpx.AsyncClient) -> None:
    problem(await viewer.get("/api/nothing"), 404)
    problem(await viewer.delete("/api/resources"), 405)
    for path in ("/api/incidents/inc-0", "/api/fixes/fix-0", "/api/mcp/tools/none", "/api/runbooks/none"):
        problem(await viewer.get(path), 404)


async def test_an_unknown_resource_names_the_nearest(viewer: httpx.AsyncClient, thing: Thing) -> None:
    said = problem(await viewer.get(f"/api/resources/{thing.slug}x"), 404)
    assert f"did you mean {thing.slug!r}?" in said["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/fixes/trigger", {}),
        ("/api/fixes/trigger", {"resource": 3}),
        ("/api/fixes/trigger", {"resource": "x", "besides": 1}),
        ("/api/mcp/tools/memo_set", {"resource": "x", "arguments": []}),
    ],
)
async def test_a_body_that_does_not_fit_is_told_what_is_wrong(
    path: str, body: dict[str, Any], operator: httpx.AsyncClient
) -> None:
    said = problem(await operator.post(path, json=body), 422)
    assert "body." in said["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "/api/resources/{slug}/readings?since=2026-01-01T00:00:00",
        "/api/resources/{slug}/readings?since=2026-01-01T00:00:00%2B05:00",
        "/api/resources/{slug}/readings?since=0001-01-01T00:00:00%2B14:00",
        "/api/incidents?before=2026-01-01T00:00:00",
        "/api/incidents?before=9999-12-31T23:59:59-12:00",
        "/api/fixes?before=0001-01-01T00:00:00%2B14:00",
    ],
)
async def test_any_time_can_be_asked_for(query: str, viewer: httpx.AsyncClient, thing: Thing) -> None:
    assert (await viewer.get(query.format(slug=thing.slug))).status_code == 200


@pytest.mark.parametrize("query", ["/api/incidents?limit=0", "/api/events?after=-1", "/api/incidents?before=soon"])
async def test_a_query_that_does_not_fit_is_a_problem(query: str, viewer: httpx.AsyncClient) -> None:
    problem(await viewer.get(query), 422)


async def test_the_description_of_the_api_is_valid_and_whole(viewer: httpx.AsyncClient) -> None:
    described = (await viewer.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.")
    schemas = described["components"]["schemas"]
    operations: list[str] = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            operations.append(operation["operationId"])
            assert {"200", "201", "202"} & set(operation["responses"]), (path, method)
    assert len(operations) == len(set(operations))
    assert not [ref for ref in references(described) if ref.rsplit("/", 1)[1] not in schemas]
    served = {path.split("?")[0] for path in LOOKS} - {"/openapi.json", "/docs", "/"}
    assert served <= set(described["paths"])


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []
