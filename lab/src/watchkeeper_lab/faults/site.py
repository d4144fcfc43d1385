"""What an injector may touch: one lab's Redis, its other services and its ledger."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from watchkeeper_lab.instance import Instance
from watchkeeper_lab.ledger import Ledger
from watchkeeper_lab.redis_link import RedisLink, redis_link
from watchkeeper_lab.services import Services


@dataclass(frozen=True, slots=True)
class Site:
    """The place of a fault. `visitors(rate, seconds)` starts more traffic in a process of its own."""

    instance: Instance
    ledger: Ledger
    services: Services
    visitors: Callable[[float, float], Awaitable[None]]

    def redis(self, timeout: float = 5.0) -> AbstractAsyncContextManager[RedisLink]:
        """A connection to Redis; `timeout` in seconds."""
        return redis_link(self.instance.ports["REDIS_PORT"], timeout=timeout)

    async def leaking_url(self) -> str:
        """The lab-only endpoint of the replica that leaks connections: the first one."""
        states = await self.services.states()
        return f"http://127.0.0.1:{states['shop-1'].port}/load/cache/connections"
