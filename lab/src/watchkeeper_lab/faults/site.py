"""What an injector may touch: the services of one lab, its ledger, and things it leaves running."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from watchkeeper_lab.background import Background
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.ledger import Ledger
from watchkeeper_lab.postgres_link import Connection, postgres_link
from watchkeeper_lab.redis_link import RedisLink, redis_link
from watchkeeper_lab.services import Services
from watchkeeper_lab.stack import Stack


@dataclass(frozen=True, slots=True)
class Site:
    """The place of a fault. `visitors(rate, seconds)` starts more traffic in a process of its own.

    `background` starts whatever else has to outlive the injector: a query that holds a lock, say. `services` reaches
    into each of them: `execute`, `read_file`, `write_file`, its volumes and processes in `states()`.
    """

    instance: Instance
    ledger: Ledger
    services: Services
    visitors: Callable[[float, float], Awaitable[None]]
    background: Background

    @property
    def stack(self) -> Stack:
        """Which system it is, and what its services are called."""
        return self.instance.stack

    def redis(self, timeout: float = 5.0, database: int = 0) -> AbstractAsyncContextManager[RedisLink]:
        """A connection to one of the databases of Redis; `timeout` in seconds."""
        return redis_link(self.instance.redis, timeout=timeout, database=database)

    def postgres(self, timeout: float = 5.0) -> AbstractAsyncContextManager[Connection]:
        """A connection to PostgreSQL as a superuser, in autocommit, which uses a reserved slot where all others are
        taken; `timeout` in seconds, for connecting and for each statement."""
        return postgres_link(self.instance.database_url, timeout=timeout)

    @property
    def shop_url(self) -> str:
        """The shop through nginx."""
        return self.instance.front_url

    async def replicas(self) -> dict[str, str]:
        """The URLs of the application's own replicas that run, each past the front, by service (`shop-1`)."""
        states, app = await self.services.states(), f"{self.stack.app}-"
        running = {name: state for name, state in states.items() if name.startswith(app) and state.running}
        return {name: f"http://127.0.0.1:{state.port}" for name, state in running.items() if not state.extra}

    async def replica(self, service: str = "") -> str:
        """The URL of one replica, the first without a name; raises `LabError` where it does not run."""
        urls, service = await self.replicas(), service or f"{self.stack.app}-1"
        if service not in urls:
            raise LabError(f"{service} does not run.", "Run `watchkeeper lab reset` and try again.")
        return urls[service]


Injector = Callable[[Site], Awaitable[float]]
"""Breaks something; returns the moment (Unix time) from which it was in effect."""
