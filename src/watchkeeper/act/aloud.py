"""What a tool says while it is at work, told as it comes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog

from watchkeeper.domain import Event, Fix, StepRecord, now
from watchkeeper.domain.saying import heard
from watchkeeper.store import Store

log = structlog.get_logger(__name__)
SAID = "fix.step.said"
EVERY = 0.25
"""Seconds between two events."""
MOST = 100
"""Lines that are told of one step."""


@asynccontextmanager
async def aloud(store: Store, fix: Fix, record: StepRecord, resource: str) -> AsyncGenerator[None]:
    """What is said inside becomes events of the fix: what came within `EVERY` seconds is one, a line that is said again
    is told once, the last is never lost."""
    lines: list[str] = []
    told, latest = 0, ""
    more, over = asyncio.Event(), asyncio.Event()

    def hear(text: str) -> None:
        nonlocal latest
        latest = text
        if len(lines) < MOST and text != (lines[-1] if lines else ""):
            lines.append(text)
            more.set()

    async def tell() -> None:
        nonlocal told
        new, told = lines[told:], len(lines)
        if new:
            data: dict[str, object] = {"tool": record.tool, "index": record.index, "said": new}
            text = f"{record.tool} on {resource}: {new[-1]}"
            by, about = fix.principal.id, record.resource
            event = Event(SAID, fix.id, text, now(), by, incident=fix.incident, resource=about, data=data)
            try:
                await store.emit(event)
            except Exception as problem:  # what is done is not undone by a word that cannot be kept
                log.warning("what a step says cannot be told", tool=record.tool, fix=fix.id, problem=str(problem))

    async def listen() -> None:
        while not over.is_set():
            await more.wait()
            more.clear()
            await tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await over.wait()

    listens = asyncio.create_task(listen(), name=f"what {record.tool} says")
    try:
        with heard(hear):
            yield
    finally:
        over.set()
        more.set()
        await listens
        if latest != (lines[-1] if lines else ""):
            lines.append(latest)
        await tell()
