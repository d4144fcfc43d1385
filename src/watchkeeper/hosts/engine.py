"""The Docker engine: which containers there are, what happens to them, and one place where its API is called."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

import aiodocker
import aiohttp
from aiodocker.exceptions import DockerError

from watchkeeper.domain import Conflict, Forbidden, NotFound, WatchkeeperError, now
from watchkeeper.hosts.answers import items, part
from watchkeeper.hosts.ends import Ends
from watchkeeper.hosts.kept import Kept
from watchkeeper.hosts.story import ACTIONS, Story, Told

if TYPE_CHECKING:
    from watchkeeper.hosts.container import ContainerHost

CALL_SECONDS = 5.0
"""How long a look may take; calls that act bring a limit of their own."""
_RETRY_SECONDS = 1.0
BESIDE = "watchkeeper.beside"
"""Label of a helper of ours that lives for one command: no resource."""
_QUEUE = 1000
_UNREACHABLE = (DockerError, aiohttp.ClientError, OSError, TimeoutError, AssertionError, ValueError)


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a container: reason to look at once."""

    host: str
    """Id of the host."""
    name: str
    incarnation: str
    action: str
    """`start`, `die`, `kill`, `stop`, `oom`, `pause`, `unpause`, `create` or `destroy`."""
    at: datetime


class Engine:
    """One Docker engine, by default the one of DOCKER_HOST or of this machine.

    An engine that cannot be reached is no reason to stop: `hosts()` is empty, `problem` says why and what to do, and
    every later call tries again.
    """

    def __init__(self, url: str | None = None, kept: Kept | None = None) -> None:
        self.url = url
        self.kept = kept or Kept()
        """Former contents of its containers' configuration files."""
        self.ends = Ends(self.kept)
        self.problem: str | None = None
        self._docker: aiodocker.Docker | None = None
        self._hosts: dict[str, ContainerHost] = {}
        self._stories: defaultdict[str, Story] = defaultdict(Story)
        self._listeners: set[asyncio.Queue[Change]] = set()
        self._asked = asyncio.Event()
        self._heard = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Engine":
        self._task = asyncio.create_task(self._listen(), name="docker-events")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), 1.0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._docker:
            await self._docker.close()
            self._docker = None

    async def hosts(self) -> "list[ContainerHost]":
        """All containers, stopped ones too; the same objects as last time. Empty, with `problem`, if unreachable."""
        from watchkeeper.hosts.container import ContainerHost

        try:
            rows: list[dict[str, Any]] = await self.call("containers/json", params={"all": "1"})
        except WatchkeeperError as problem:
            self.problem = str(problem)
            return []
        self.problem = None
        rows = [row for row in rows if BESIDE not in part(row, "Labels")]
        for row in rows:
            known = self._hosts.get(row["Id"])
            name = str((items(row, "Names") or [row["Id"][:12]])[0]).lstrip("/")
            if known is None:
                self._hosts[row["Id"]] = ContainerHost(self, row["Id"], name, part(row, "Labels"))
            else:
                known.rename(name)
        there = {row["Id"] for row in rows}
        for gone in set(self._hosts) - there:
            del self._hosts[gone]
            self._stories.pop(gone, None)
        return [self._hosts[row["Id"]] for row in rows]

    def known(self) -> "list[ContainerHost]":
        """All containers, as they were listed last."""
        return list(self._hosts.values())

    async def changes(self) -> AsyncIterator[Change]:
        """Every event of a container from now on, as it comes. Survives an engine that goes away and comes back."""
        queue: asyncio.Queue[Change] = asyncio.Queue(_QUEUE)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def story(self, incarnation: str) -> Story:
        """What was heard of a container."""
        return self._stories[incarnation]

    async def recall(self, incarnation: str, around: datetime) -> Story:
        """Ask the engine for the events around a moment that were missed; it keeps the last few hundred."""
        story = self._stories[incarnation]
        # An `until` in the future would keep the request open till then.
        until = min(around + timedelta(seconds=15), now())
        with contextlib.suppress(WatchkeeperError, TimeoutError):
            async with asyncio.timeout(2.0):
                async for _, told in self._events(around - timedelta(minutes=2), until, incarnation):
                    story.hear(told)
        return story

    async def call(
        self,
        path: str,
        method: str = "GET",
        *,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float = CALL_SECONDS,
    ) -> Any:
        """One call of the engine's API; its JSON. Raises NotFound, Conflict or WatchkeeperError."""
        async with self.open(path, method, params=params, data=data, timeout=timeout) as response:
            content = await response.read()
        return json.loads(content) if content and "json" in response.headers.get("content-type", "") else content

    @contextlib.asynccontextmanager
    async def open(
        self,
        path: str,
        method: str = "GET",
        *,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        timeout: float | None = CALL_SECONDS,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """A response that is closed at the end, which aiodocker leaves to the garbage collector. `timeout` in seconds,
        None for a stream. Its public methods also lack `one-shot` statistics and bounded events."""
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CALL_SECONDS)
        body = json.dumps(data) if isinstance(data, dict) else data
        try:
            docker = self._connected()
            async with docker._query(path, method, params=params, data=body, timeout=limit) as response:  # pyright: ignore[reportPrivateUsage]
                try:
                    yield response
                finally:
                    response.close()
        except DockerError as problem:
            raise self._said(problem, f"{method} /{path}") from None
        except (aiohttp.ClientError, OSError) as problem:
            raise self._unreachable(problem) from None

    def _connected(self) -> aiodocker.Docker:
        if self._docker is None:
            try:
                self._docker = aiodocker.Docker(url=self.url)
            except _UNREACHABLE as problem:  # AssertionError: there is no socket at all
                raise self._unreachable(problem) from None
        return self._docker

    def _said(self, problem: DockerError, call: str) -> WatchkeeperError:
        if problem.status == 900:
            return self._unreachable(problem)
        message = problem.message.strip().rstrip(".")
        if problem.status in (403, 405):
            why = message if message and not message.startswith("<") else f"status {problem.status}"
            return Forbidden(
                f"The Docker engine's proxy does not allow {call}: {why}.",
                "`watchkeeper doctor --rights` prints a configuration that does.",
            )
        if problem.status == 404:
            return NotFound(f"The Docker engine does not know it: {message}.", "`docker ps -a` lists what there is.")
        if problem.status == 409:
            return Conflict(f"The Docker engine cannot do this now: {message}.")
        return WatchkeeperError(f"The Docker engine refused {call}: {message} (status {problem.status}).")

    def _unreachable(self, problem: Exception) -> WatchkeeperError:
        where = self.url or "DOCKER_HOST or /var/run/docker.sock"
        said = problem.message if isinstance(problem, DockerError) else str(problem).strip()
        why = "no answer in time" if isinstance(problem, TimeoutError) else said or "there is no socket"
        return WatchkeeperError(
            f"The Docker engine ({where}) cannot be reached: {why}.",
            "Start it, or let this user into its group (`docker ps` must work), or set DOCKER_HOST.",
        )

    async def _listen(self) -> None:
        """Follow the events for ever; after a break, from where it broke."""
        while True:
            try:
                since = datetime.fromtimestamp(self._heard / 1e9, now().tzinfo) if self._heard else None
                async for event, told in self._events(since, None, None):
                    self._hear(event, told)
            except WatchkeeperError as problem:
                self.problem = str(problem)
            except (ValueError, TimeoutError):
                pass  # half a line as the engine went away
            self._asked.set()
            await asyncio.sleep(_RETRY_SECONDS)

    def _hear(self, event: Mapping[str, Any], told: Told) -> None:
        self._heard = max(self._heard, told.at)
        actor = part(event, "Actor")
        incarnation = str(actor.get("ID") or event.get("id") or "")
        if not self._stories[incarnation].hear(told):
            return
        name = str(part(actor, "Attributes").get("name") or incarnation[:12])
        if host := self._hosts.get(incarnation):
            host.changed()
        change = Change(f"docker:{name}", name, incarnation, told.action, told.when)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()  # who does not listen misses the oldest: the next look tells anyway
            queue.put_nowait(change)

    async def _events(
        self, since: datetime | None, until: datetime | None, incarnation: str | None
    ) -> AsyncIterator[tuple[Mapping[str, Any], Told]]:
        filters: dict[str, list[str]] = {"type": ["container"], "event": list(ACTIONS)}
        if incarnation:
            filters["container"] = [incarnation]
        params = {"filters": json.dumps(filters)}
        if since:
            params["since"] = f"{since.timestamp():.9f}"
        if until:
            params["until"] = f"{until.timestamp():.9f}"
        async with self.open("events", params=params, timeout=None) as response:
            if until is None:
                self._asked.set()
                self.problem = None
            async for line in response.content:
                if line.strip():
                    event: dict[str, Any] = json.loads(line)
                    yield event, Told.of(event)
