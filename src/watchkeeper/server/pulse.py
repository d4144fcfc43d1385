"""Whether the loop truly works, and who is told: the heartbeat's receiver, systemd, `/healthz`, `/readyz`."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog

from watchkeeper.domain import Event, now
from watchkeeper.notify import Heartbeat
from watchkeeper.server.runtime import Runtime
from watchkeeper.settings import secret
from watchkeeper.store import StoreAway
from watchkeeper.telemetry import systemd

log = structlog.get_logger(__name__)
EVERY = 10.0
"""Seconds between two checks where neither the heartbeat nor systemd wants them oftener."""
WRITE_SECONDS = 5.0
"""How long a write to the store may take."""
PULSE = "pulse"


def stuck(runtime: Runtime) -> tuple[str, ...]:
    """What has stopped moving, in words: a restart of the process may help."""
    watch, here = runtime.settings.watch, time.monotonic()
    found: list[str] = []
    look = here - runtime.metrics.last_look
    if runtime.watch.watchers and look > max(15.0, 5 * watch.interval + watch.timeout):
        found.append(f"nothing was looked at for {look:.0f} s")
    search = here - runtime.watch.fleet.searched_at
    if search > 3 * watch.discover + 30.0:
        found.append(f"nothing was searched for since {search:.0f} s")
    return tuple(found)


async def problems(runtime: Runtime) -> tuple[str, ...]:
    """Why it does not do its work now; empty where it does. Writes to the store, to see whether that goes."""
    found = list(stuck(runtime))
    if runtime.lost.is_set():
        found.append("another executor has taken over")
    try:
        async with asyncio.timeout(WRITE_SECONDS), runtime.store.transaction() as transaction:
            await transaction.set(PULSE, now().isoformat())
    except Exception as problem:
        found.append(runtime.store.problem or f"the store cannot be written ({type(problem).__name__})")
    return tuple(found)


@asynccontextmanager
async def beating(runtime: Runtime) -> AsyncGenerator[None]:
    """While inside, those who want to know are told that it works, and hear nothing (or why) while it does not."""
    systemd.notify("READY=1", "STATUS=watching")
    tasks = [asyncio.create_task(_beat(runtime), name="pulse")]
    if (within := systemd.watchdog_seconds()) is not None:
        tasks.append(asyncio.create_task(_watchdog(runtime, within / 3), name="watchdog"))
    try:
        yield
    finally:
        systemd.notify("STOPPING=1")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _beat(runtime: Runtime) -> None:
    said = runtime.settings.notify.heartbeat
    heartbeat = None
    if said is not None:
        url, failing = (followed(text) if text else None for text in (said.url, said.fail_url))
        for text in (url, failing):
            if text:
                runtime.store.masker.learn(text)
        heartbeat = Heartbeat(url or "", failing)
    every = said.every if said else EVERY
    left_out = ""
    while True:
        found = await problems(runtime)
        if not found and left_out != (left_out := runtime.store.made.left_out):
            with suppress(StoreAway):  # what is left out is in the log, too
                await runtime.store.emit(Event("store.unreadable", runtime.sharing.name, left_out, now()))
        if found != runtime.unwell:
            log.log(30 if found else 20, "the pulse changed", problems=list(found))
            systemd.notify(f"STATUS={'; '.join(found) or 'watching'}")
        runtime.unwell = found
        if not found:
            runtime.metrics.heartbeat.set_to_current_time()
        if heartbeat is not None:
            await heartbeat.beat(found)
        await asyncio.sleep(every)  # a pulse is kept by the clock


async def _watchdog(runtime: Runtime, every: float) -> None:
    """systemd restarts what is stuck. A store that cannot be written is no reason: a restart would not mend it."""
    while True:
        if not stuck(runtime):
            systemd.notify("WATCHDOG=1")
        await asyncio.sleep(every)  # as above


def followed(text: str) -> str:
    """What a reference stands for."""
    return secret(text) if text.startswith(("env:", "file:")) else text
