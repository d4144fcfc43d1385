"""What runs through a fault and through every fix, and has to survive: work that is long and right.

`query` is a dump: one long transaction that reads every table. `request` is a download of orders through nginx.
`waiters` are sessions that wait for what a fault holds, and get through when it is gone.
"""

from collections.abc import Awaitable, Callable

from watchkeeper_lab.background import Background
from watchkeeper_lab.instance import Instance

LONG_SECONDS = 600.0
"""Longer than any scenario."""
Begin = Callable[[Instance, Background], Awaitable[None]]


async def query(instance: Instance, background: Background) -> None:
    """Begin a dump; returns when its first rows have come."""
    where = {"LAB_DATABASE_URL": instance.database_url, "LAB_TABLE": instance.stack.rows[0]}
    await background.start("query", "watchkeeper_lab.dump", environment=where)


async def request(instance: Instance, background: Background) -> None:
    """Begin a download; returns when its first lines have come."""
    url = f"{instance.front_url}{instance.stack.download}?seconds={LONG_SECONDS:.0f}"
    await background.start("request", "watchkeeper_lab.download", url)


async def waiters(instance: Instance, background: Background) -> None:
    """Begun by the fault itself, under this name: sessions that do nothing wrong while others hold them up."""


SURVIVORS: dict[str, Begin] = {"query": query, "request": request, "waiters": waiters}
