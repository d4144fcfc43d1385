"""Waiting for what a running system tells."""

import asyncio

from watchkeeper.domain import Event
from watchkeeper.server import Runtime


async def event(runtime: Runtime, kind: str, patience: float = 60.0) -> Event:
    """The first event of that kind since the store began; fails after so many seconds."""
    async with asyncio.timeout(patience):
        async for event in runtime.store.follow(0):
            if event is not None and event.kind == kind:
                return event
    raise AssertionError(kind)


async def heard(runtime: Runtime, kind: str, resource: str, patience: float = 60.0) -> Event:
    """The first event of that kind about one resource."""
    async with asyncio.timeout(patience):
        async for event in runtime.store.follow(0):
            if event is not None and (event.kind, event.resource) == (kind, resource):
                return event
    raise AssertionError(kind)
