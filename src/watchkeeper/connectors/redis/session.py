"""An open session with one Redis: one connection that is kept, because an exhausted server is when we must get in."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from watchkeeper.connectors.redis import access
from watchkeeper.connectors.redis.part import Part
from watchkeeper.connectors.redis.trouble import NO_PASSWORD, Trouble, lacking, trouble
from watchkeeper.connectors.redis.wire import Command, ConnectionLost, ServerSaid, Wire
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError, now

NAME = "watchkeeper"
CALL_SECONDS = 1.0
_CONNECT_SECONDS = 1.0
_OVERDUE_SECONDS = 3.0
"""After this long without a reply a second connection is tried: the kept one may be dead without knowing."""


class RedisSession:
    """What looks and tools work on. Opening it never fails; it connects when it is asked, and again by itself."""

    def __init__(self, resource: Resource, host: Host | None) -> None:
        self.resource = resource
        self.host = host
        self.patterns = access.patterns(resource.settings.get("cache_keys"))
        """Globs of the keys declared to be a cache: the only ones that may ever be removed."""
        self.answered_at: float | None = None
        """Loop time of the last answer of any kind."""
        self.silent_since: float | None = None
        """Loop time since when it has not answered though it ought to."""
        self.configured: Mapping[str, str] | None = None
        """What it is configured with, where the look at hand asked for it."""
        self.lacks: set[str] = set()
        """Rights that were found missing where the rest goes on without: told by each reading."""
        self.at: tuple[tuple[str, int], ...] = ()
        """Where it listens, as it was last known."""
        self.part = Part()
        """What it is part of: Sentinels, a cluster, replication."""
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._tried_beside = 0.0
        self._due: dict[str, float] = {}

    async def aclose(self) -> None:
        if self._wire:
            self._wire.close()
            self._wire = None

    @property
    def connected(self) -> bool:
        """Whether the kept connection is open, as far as can be told without using it."""
        return self._wire is not None and not self._wire.closed

    @property
    def far(self) -> bool:
        """Whether its processes are another machine's: their ids mean nothing here."""
        return self.host is not None and self.host.provider == "ssh"

    def due(self, what: str, every: float) -> bool:
        """True at most every so many seconds: for what is looked at less often."""
        present = asyncio.get_running_loop().time()
        if present < self._due.get(what, 0.0):
            return False
        self._due[what] = present + every
        return True

    def soon(self, what: str) -> None:
        """What is looked at less often is looked at with the next look."""
        self._due.pop(what, None)

    def granted(self, reply: Any, right: str) -> bool:
        """Whether a reply is an answer; remembers where it is not for lack of that right."""
        if isinstance(reply, ServerSaid) and lacking(reply):
            self.lacks.add(right)
            return False
        self.lacks.discard(right)
        return not isinstance(reply, ServerSaid)

    async def call(self, *command: str | float | bytes, timeout: float = CALL_SECONDS) -> Any:
        """One command's reply. Raises Trouble."""
        reply = (await self.pipeline([command], timeout=timeout))[0]
        if isinstance(reply, ServerSaid):
            raise trouble(reply)
        return reply

    async def pipeline(self, commands: Sequence[Command], *, timeout: float = CALL_SECONDS) -> list[Any]:
        """The replies to several commands; error replies in their places. Raises Trouble where no reply comes."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(timeout + 0.1):
                wire = await self._open()
                try:
                    replies = await wire.call(commands, timeout=timeout)
                except ConnectionLost:
                    # An idle connection that the server closed (its `timeout`, a restart): once more on a new one,
                    # unless something may have been done already.
                    if not all(str(command[0]).upper() in _HARMLESS for command in commands):
                        raise
                    replies = await (await self._open()).call(commands, timeout=timeout)
        except (OSError, ServerSaid) as problem:  # TimeoutError is an OSError
            found = trouble(problem)
            if found.category == "silent":
                self.silent_since = self.silent_since or begun
            elif found.category == "refused":
                self.silent_since = None  # nobody there is not silence
            else:
                self._answered()
            raise found from None
        except WatchkeeperError as problem:
            raise Trouble("password", str(problem)) from None
        self._answered()
        return replies

    def went_silent(self, at: datetime) -> None:
        """A look that began at `at` had no answer."""
        if self.silent_since is None:
            self.silent_since = asyncio.get_running_loop().time() - (now() - at).total_seconds()

    def ought_not_answer(self) -> None:
        """Its host is paused or stopped: silence says nothing of the server."""
        self.silent_since = None

    def _answered(self) -> None:
        self.answered_at = asyncio.get_running_loop().time()
        self.silent_since = None

    async def _open(self) -> Wire:
        async with self._opening:
            if self._wire and not self._wire.closed:
                return await self._beside(self._wire)
            if self._wire:
                self._wire.close()  # the server's end is closed, ours is not
                self._wire = None
            self._wire = await self._connect()
            return self._wire

    async def _beside(self, kept: Wire) -> Wire:
        """The kept connection, or one that answers in its place where it has been silent for long."""
        present = asyncio.get_running_loop().time()
        if kept.owed_since is None or present - max(kept.owed_since, self._tried_beside) < _OVERDUE_SECONDS:
            return kept
        self._tried_beside = present
        try:
            async with asyncio.timeout(0.3):
                fresh = await self._connect()
        except (OSError, ServerSaid, WatchkeeperError):
            return kept
        kept.close()
        self._wire = fresh
        return fresh

    async def _connect(self) -> Wire:
        """Connect, authenticate, say who we are. Raises OSError, ServerSaid, ConfigurationError."""
        last: Exception = ConnectionRefusedError("it has no address while it does not run")
        addresses = await self.addresses()
        self.at = tuple(addresses) or self.at
        for address in addresses:
            try:
                return await self._greet(*address)
            except ServerSaid:
                raise
            except OSError as problem:
                last = problem
                if isinstance(problem, TimeoutError):
                    break
        raise last

    async def _greet(self, host: str, port: int) -> Wire:
        tls = _tls(self.resource)
        async with asyncio.timeout(_CONNECT_SECONDS):
            wire = await Wire.open(host, port, tls=tls)
        try:
            password = await access.password(self.resource, self.host)
            user = self.resource.settings.get("username")
            auth: list[Command] = [("AUTH", str(user), password) if user else ("AUTH", password)] if password else []
            try:
                replies = await wire.call([*auth, ("CLIENT", "SETNAME", NAME)], timeout=_CONNECT_SECONDS)
            except ConnectionLost:
                wire.close()
                # What it said before closing may be lost with the reset that our command drew: ask without a word.
                wire = await Wire.open(host, port, tls=tls)
                if said := await wire.greeting():
                    raise ServerSaid(said) from None
                raise
            self.granted(replies[-1], "client|setname")
            for said in replies:
                # A name is not worth failing for (it is refused while a script blocks the server, or by an ACL).
                # That it has no password is none, either, unless it turns everybody away for that.
                if isinstance(said, ServerSaid) and said.code != "NOPERM":
                    found = trouble(said).category
                    if found in ("exhausted", "denied") or (found == "password" and NO_PASSWORD not in str(said)):
                        raise said
        except BaseException:
            wire.close()
            raise
        return wire

    async def addresses(self) -> Sequence[tuple[str, int]]:
        """Where it listens: the configured URL, else through its host."""
        if url := self.resource.settings.get("url"):
            parts = urlsplit(str(url))
            return [(parts.hostname or "127.0.0.1", parts.port or 6379)]
        if self.host is None:
            return []
        try:
            return await self.host.endpoints(await self.port())
        except WatchkeeperError as problem:
            raise ConnectionRefusedError(problem.what) from None

    async def port(self) -> int:
        """The port the server listens on, inside its host."""
        if url := self.resource.settings.get("url"):
            return urlsplit(str(url)).port or 6379
        if said := self.resource.settings.get("port"):
            if not str(said).isdigit():
                raise ConfigurationError(f"The port of {self.resource.slug} must be a number, not {said!r}.")
            return int(str(said))
        return access.port(await self.host.processes()) if self.host else 6379


_HARMLESS = frozenset({"PING", "INFO", "SLOWLOG", "RANDOMKEY", "SCAN", "DBSIZE", "EXISTS", "GET"})


def _tls(resource: Resource) -> ssl.SSLContext | None:
    return ssl.create_default_context() if str(resource.settings.get("url", "")).startswith("rediss://") else None
