"""A small web service in a process of its own that does as it is told, and a host that stands for what it runs on."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.conftest import free_port

from watchkeeper.connectors.http import connector
from watchkeeper.connectors.http.session import HttpSession
from watchkeeper.domain import HostState, Resource, StopCause

SERVICE = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
told = {"/health": {"status": 200, "body": {"status": "ok"}}, "/ready": {"status": 200, "body": {"status": "ready"}}}
asked = []
class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self, status, body, kind="application/json"):
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_GET(self):
        if self.path == "/asked":
            return self.answer(200, asked)
        asked.append(f"GET {self.path}")
        one = told.get(self.path, told.get("*", {"status": 404, "body": "nothing here"}))
        time.sleep(one.get("delay", 0))
        self.answer(one["status"], one["body"], one.get("kind", "application/json"))
    def do_PUT(self):
        told.update(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(200, {})
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers)
server.serve_forever()
"""


class Service:
    """That process. `tell("/ready", 503, {...})` says what it answers from now on."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SERVICE, str(self.port)])

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def answers(self) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            for _ in range(600):
                try:
                    await http.get(f"{self.url}/asked")
                    return
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)  # it is starting
        raise AssertionError("the service does not come up")

    async def tell(self, path: str, status: int = 200, body: Any = "", **more: Any) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            await http.put(self.url, content=json.dumps({path: {"status": status, "body": body, **more}}))

    async def asked(self) -> list[str]:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            return (await http.get(f"{self.url}/asked")).json()


class ServiceHost:
    """A stand-in for a container around that process. Only what is asked of it here is real."""

    provider, kind = "docker", "container"
    id = name = incarnation = "web"
    labels: Mapping[str, str] = {}

    def __init__(self, service: Service) -> None:
        self.service = service
        self.started = datetime(2026, 1, 1, tzinfo=UTC)
        self.starts = 1
        self.status = "running"
        self.stopped_by: StopCause = ""
        self.stopping = False

    async def state(self) -> HostState:
        code = None if self.status == "running" else 137
        return HostState(
            self.status,
            start_count=self.starts,
            started_at=self.started,
            exit_code=code,
            stopped_by=self.stopped_by,
            stopping=self.stopping,
        )

    async def endpoints(self, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", port)]

    async def restart(self) -> None:
        self.service.stop()
        self.service.start()
        self.starts += 1
        self.started = datetime.now(UTC)


@pytest.fixture(scope="module")
def running_service() -> Iterator[Service]:
    made = Service()
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def web(running_service: Service) -> Service:
    """A service that is well when the test begins."""
    if running_service.process is None:
        running_service.start()
    await running_service.answers()
    await running_service.tell("/health", 200, {"status": "ok"})
    await running_service.tell("/ready", 200, {"status": "ready"})
    return running_service


@pytest.fixture
def web_host(web: Service) -> ServiceHost:
    return ServiceHost(web)


@pytest.fixture
async def web_session(web: Service, web_host: ServiceHost) -> AsyncIterator[HttpSession]:
    settings = {"port": web.port, "health": "/health", "ready": "/ready"}
    resource = Resource("docker/lab/http/web", "web", ports=(web.port,), may_act=True, settings=settings)
    async with connector.connect(resource, web_host) as session:  # type: ignore[arg-type]
        yield session
