"""One running system for all tests of the API: DBOS is one per process. Each test has resources of its own."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import redis
import uvicorn

from tests.conftest import RedisServer, start_redis
from tests.domain.making import resource
from tests.notify.loopback import FakeSlack
from tests.server.memo import MemoConnector
from watchkeeper.connectors import Registry
from watchkeeper.domain import Event, Incident, Resource
from watchkeeper.server import Runtime, configured, create_app, running
from watchkeeper.settings import Settings
from watchkeeper.store.history import newest

SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"
PATIENCE = 30.0
"""Seconds after which something awaited is taken not to come."""


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="package")
def memory(folder: Path) -> Iterator[RedisServer]:
    server = start_redis(folder)
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="package")
def connector(memory: RedisServer) -> MemoConnector:
    return MemoConnector(memory.port)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def slack() -> AsyncIterator[FakeSlack]:
    """What people are told by all of these tests; it takes only what Slack would take."""
    async with FakeSlack().listening() as server:
        assert isinstance(server, FakeSlack)
        yield server


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def runtime(folder: Path, connector: MemoConnector, slack: FakeSlack) -> AsyncIterator[Runtime]:
    """Mode approve, and otherwise as it comes; without an engine. Slack is told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchkeeper.predictions.intake.GATHER", 0.01)  # seconds that pushes wait for others
        patch.setenv("DOCKER_HOST", f"unix://{folder / 'no-engine.sock'}")
        patch.setenv("SLACK_TOKEN", "xoxb-right")
        patch.setenv("SLACK_SIGNING", SIGNING)
        people = {"U1": {"name": "grace", "role": "approver"}, "U2": {"name": "vic", "role": "viewer"}}
        settings = Settings(
            data=folder / "data",
            watch={"interval": 0.2, "quick": 0.05, "timeout": 2},
            policy={"changes_per_hour": 100},
            server={"public_url": "https://watchkeeper.example.com"},
            notify={
                "channels": [
                    {
                        "name": "shop",
                        "kind": "slack",
                        "token": "env:SLACK_TOKEN",
                        "channel": "C1",
                        "api": f"{slack.url}/api",
                        "signing_secret": "env:SLACK_SIGNING",
                        "people": people,
                    }
                ]
            },
            ingest={
                "cloud": {
                    "alerts": "body.incidents",
                    "name": "alert.title",
                    "fires": "alert.open",
                    "labels": "{'name': alert.host}",
                    "fingerprint": "alert.id",
                }
            },
        )
        async with running(settings, Registry([connector])) as made:
            yield made


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(runtime: Runtime) -> AsyncIterator[str]:
    """A real server on loopback, as its settings say; its address."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)  # who reads nothing is soon noticed
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        server = Server(configured(create_app(runtime), runtime.settings.server))
        serves = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http{'s' if runtime.settings.server.tls else ''}://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serves


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def address(runtime: Runtime) -> AsyncIterator[str]:
    async with served(runtime) as at:
        yield at


@pytest.fixture
async def viewer(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, verify=False) as client:
        yield client


@pytest.fixture
async def operator(address: str, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {runtime.token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE, verify=False) as client:
        yield client


class Thing:
    """One watched level, which a test makes ill and sees healed."""

    def __init__(
        self, of: Resource, runtime: Runtime, store: "redis.Redis", client: httpx.AsyncClient, born: int
    ) -> None:
        self.id = of.id
        self.slug = of.slug
        self.name = of.name
        self._runtime = runtime
        self._store = store
        self._client = client
        self._born = born
        self._theirs: set[str] = set()

    def put(self, level: float) -> None:
        self._store.set(f"{self.name}:level", level)
        self._runtime.watch.watchers[self.id].poke()

    def wear(self, worn: float) -> None:
        """Something else that is wrong with it, against which nothing helps."""
        self._store.set(f"{self.name}:worn", worn)
        self._runtime.watch.watchers[self.id].poke()

    @property
    def changes(self) -> list[float]:
        """What the tools have set, in order."""
        return [float(value) for value in self._store.lrange(f"{self.name}:changes", 0, -1)]

    def let_go(self) -> None:
        self._store.rpush(f"{self.name}:go", 1)

    async def begun(self) -> None:
        """Until the slow tool is at work."""
        got = await asyncio.to_thread(self._store.blpop, [f"{self.name}:begun"], PATIENCE)
        assert got is not None

    async def event(self, *kinds: str, after: int = 0) -> Any:
        """The first event of these kinds about this resource's incidents."""
        async for event in self._events(kinds, after):
            return event
        raise AssertionError(f"none of {kinds} came for {self.slug}: {await self.story()}")

    async def _events(self, kinds: Collection[str], after: int = 0) -> AsyncIterator[Event]:
        """All of them, as they come, as long as patience lasts."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                async for event in self._runtime.store.follow(max(after, self._born)):
                    if event is None or event.kind not in kinds:
                        continue
                    if self.id in (event.resource, event.subject) or await self._mine(event.incident):
                        yield event

    async def _mine(self, incident: str | None) -> bool:
        if incident is None or incident in self._theirs:
            return False
        found = await self._runtime.store.get(Incident, incident)
        if self.id in found.resources:
            return True
        if found.status == "closed":
            self._theirs.add(incident)
        return False

    async def story(self) -> list[str]:
        mine = {known["id"] for known in await self.incidents()}
        return [f"{e.kind}: {e.text}" for e in await self._runtime.store.events(limit=1000) if e.incident in mine]

    async def incidents(self) -> list[dict[str, Any]]:
        found = (await self._client.get("/api/incidents")).json()["items"]
        return [known for known in found if self.id in known["resources"]]

    async def incident(self) -> dict[str, Any]:
        (found,) = await self.incidents()
        return found

    async def approval(self) -> dict[str, Any]:
        """The one that waits now."""
        async for _ in self._events(["approval.requested"]):
            found = (await self._client.get("/api/approvals")).json()["items"]
            for known in found:
                if known["plan"]["steps"][0]["resource"] == self.id:
                    return known
        raise AssertionError(f"{self.slug} waits for nobody: {await self.story()}")


@pytest.fixture
async def things(
    runtime: Runtime, connector: MemoConnector, memory: RedisServer, viewer: httpx.AsyncClient
) -> AsyncIterator[Callable[..., Any]]:
    """Makes things that are watched; they are taken away at the end."""
    store = memory.client()
    made: list[str] = []

    async def make(**more: Any) -> Thing:
        name = f"thing{next(_COUNT)}"
        of = replace(resource(name, kind="memo", provider="local"), **more)
        connector.there[name] = of
        made.append(name)
        born = await newest(runtime.store)
        await runtime.watch.discover()
        await runtime.watch.look((of.id,))
        return Thing(of, runtime, store, viewer, born)

    yield make
    for name in made:
        connector.there.pop(name, None)
    await runtime.watch.discover()
    store.close()


_COUNT = itertools.count()


@pytest.fixture
async def thing(things: Callable[..., Any]) -> Thing:
    return await things()
