"""Failures and resets are forwarded to the lab's own process, and only where there is one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.server.conftest import Server, Thing
from tests.server.test_door import problem
from watchkeeper.server import Runtime
from watchkeeper.settings.lab import LabSettings

STEPS = [{"name": "reset", "status": "running", "began": 1.0, "seconds": None, "what": ""}]
RUN = {"id": "val-1", "fault": "redis-killed", "kind": "fault", "watchkeeper": "", "began": 1.0, "status": "running"}
RUN |= {"ended": None, "steps": STEPS, "told": [], "error": "", "row": None}
ENDED = {"ended": ["redis-killed"], "healthy": True, "reasons": [], "lost": 0, "seconds": 1.5}
FAULT = {"name": "redis-killed", "kind": "fault", "description": "", "expect": "healed"}
FAULT |= {"left_out": None, "in_effect_since": None}
RESULTS = {"name": "lab", "suite": "lab", "complete": True, "ground": "container", "seed": 1, "summary": {"faults": 21}}
RESULTS |= {"machine": {}, "versions": {}, "scenarios": []}
ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/faults"): {"items": [FAULT]},
    ("POST", "/faults/redis-killed"): {"name": "redis-killed", "in_effect_since": 1.0, "seconds": 0.2},
    ("DELETE", "/faults"): ENDED,
    ("DELETE", "/faults/redis-killed"): ENDED,
    ("POST", "/reset"): {"service": "redis", "connections": 7, "healthy": True, "reasons": [], "seconds": 0.1},
    ("GET", "/validation"): {"items": [RUN]},
    ("POST", "/validation"): RUN,
    ("GET", "/validation/val-1"): RUN,
    ("GET", "/benchmarks"): {"items": [RESULTS]},
    ("GET", "/benchmarks/lab"): RESULTS,
    ("POST", "/benchmarks"): RESULTS | {"name": "page-1", "status": "running", "began": 1.0, "left": ["redis-killed"]},
    ("DELETE", "/benchmarks/page-1"): RESULTS | {"name": "page-1", "status": "failed", "began": 1.0, "ended": 2.0},
}
"""What a lab says, as `watchkeeper_lab.serve` does: tests/lab/test_serve.py has the real one."""


class Practice:
    """A lab that only says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.url = ""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def practice() -> AsyncIterator[Practice]:
    made, app = Practice(), FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def answer(path: str, request: Request) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        if request.headers.get("authorization") != "Bearer open-sesame":
            return JSONResponse({"detail": "no"}, 401)
        body = await request.body()
        made.asked.append((request.method, f"/{path}", await request.json() if body else None))
        known = ANSWERS.get((request.method, f"/{path}"))
        return JSONResponse(known) if known else JSONResponse({"detail": "There is none.", "next": "Look."}, 404)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        server = Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1))
        serves = asyncio.create_task(server.serve(sockets=[listener]))
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield made
        server.should_exit = True
        await serves


@pytest.fixture
def forwarded(practice: Practice, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Practice:
    (tmp_path / "token").write_text("open-sesame\n")
    settings = LabSettings(url=practice.url, token=f"file:{tmp_path / 'token'}")
    monkeypatch.setattr(runtime.settings, "lab", settings)
    practice.asked.clear()
    return practice


async def test_without_a_lab_nothing_can_be_broken_from_here(thing: Thing, operator: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "/api/failures"),
        ("POST", "/api/failures/redis-killed"),
        ("DELETE", "/api/failures"),
        ("POST", f"/api/resources/{thing.slug}/reset"),
        ("GET", "/api/validation"),
        ("GET", "/api/benchmarks"),
    ):
        said = problem(await operator.request(method, path), 404)
        assert "watchkeeper lab serve" in said["next"]


async def test_what_is_asked_for_reaches_the_lab_and_its_answer_comes_back(
    forwarded: Practice, operator: httpx.AsyncClient, viewer: httpx.AsyncClient, runtime: Runtime
) -> None:
    before = await runtime.store.events(limit=1, newest=True)
    assert (await viewer.get("/api/failures")).json()["items"] == [FAULT]
    assert (await operator.post("/api/failures/redis-killed")).json()["seconds"] == 0.2
    assert (await operator.delete("/api/failures/redis-killed")).json() == ENDED
    assert (await operator.delete("/api/failures")).json() == ENDED
    begun = await operator.post("/api/validation", json={"fault": "redis-killed"})
    assert (begun.status_code, begun.json()) == (202, RUN)
    assert forwarded.asked[-1][2]["watchkeeper"].startswith("http://127.0.0.1:")
    assert (await viewer.get("/api/validation/val-1")).json() == RUN
    assert (await viewer.get("/api/validation")).json()["items"] == [RUN]
    assert (await viewer.get("/api/benchmarks")).json()["items"][0]["summary"] == {"faults": 21}
    assert (await viewer.get("/api/benchmarks/lab")).json()["scenarios"] == []
    begun = await operator.post("/api/benchmarks", json={"only": ["redis-killed"]})
    assert (begun.status_code, begun.json()["left"]) == (202, ["redis-killed"])
    assert forwarded.asked[-1][2] | {"watchkeeper": ""} == {
        "only": ["redis-killed"],
        "watchkeeper": "",
        "deadline": 120.0,
    }
    assert (await operator.delete("/api/benchmarks/page-1")).json()["status"] == "failed"
    problem(await viewer.post("/api/benchmarks", json={}), 401)
    said = problem(await operator.post("/api/failures/redis-kiled"), 404)
    assert (said["detail"], said["next"]) == ("There is none.", "Look.")
    problem(await viewer.post("/api/failures/redis-killed"), 401)
    problem(await operator.post("/api/failures/..%2Fvalidation"), 404)
    # nobody who is to find a fault can read of it
    assert await runtime.store.events(limit=1, newest=True) == before


async def test_only_what_is_of_the_lab_is_reset(
    forwarded: Practice, things: Callable[..., Any], operator: httpx.AsyncClient
) -> None:
    production: Thing = await things(id="local/production/memo/serving", slug="serving")
    said = problem(await operator.post(f"/api/resources/{production.slug}/reset"), 409)
    assert "not of the lab" in said["detail"]
    assert forwarded.asked == []
    own: Thing = await things(labels={"a": "b"})
    assert (await operator.post(f"/api/resources/{own.slug}/reset")).json()["connections"] == 7
    assert forwarded.asked == [("POST", "/reset", {"id": own.id, "labels": {"a": "b"}})]


async def test_a_lab_that_is_away_or_lets_nobody_in_is_told(
    forwarded: Practice, operator: httpx.AsyncClient, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("wrong")
    assert "let us in" in problem(await operator.get("/api/failures"), 409)["detail"]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr(runtime.settings, "lab", LabSettings(url=url, token=f"file:{tmp_path / 'token'}"))
        assert "does not answer" in problem(await operator.get("/api/failures"), 503)["detail"]


@pytest.mark.parametrize("url", ["http://example.com:8010", "https://127.0.0.1:8010", "8010"])
def test_the_lab_is_on_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match="on this machine"):
        LabSettings(url=url, token="file:x")
