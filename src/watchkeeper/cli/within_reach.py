"""What `watchkeeper up` would find from here, for commands that look without it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchkeeper.connectors import Registry
    from watchkeeper.hosts import Engine
    from watchkeeper.settings import Settings
    from watchkeeper.watch.fleet import Fleet


@asynccontextmanager
async def within_reach(registry: "Registry", settings: "Settings") -> AsyncGenerator[tuple["Fleet", "Engine"]]:
    """A fleet that has been discovered, in containers and on machines, and the engine; connections end with it."""
    from watchkeeper.domain.errors import WatchkeeperError
    from watchkeeper.hosts import Engine
    from watchkeeper.server.machines import machines_of
    from watchkeeper.watch.fleet import Fleet

    try:
        machines = machines_of(settings.hosts)
    except WatchkeeperError:
        machines = []  # told where machines are
    async with Engine() as engine, AsyncExitStack() as stack:
        fleet = Fleet(registry, settings, [engine, *[await stack.enter_async_context(one) for one in machines]])
        await fleet.discover()
        yield fleet, engine
