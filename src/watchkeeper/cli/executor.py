"""What `up` runs: the loop and the API, until somebody stops it or another executor takes over."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import uvicorn

from watchkeeper.cli.greeting import Greeting, Teller, greet
from watchkeeper.cli.logs import begin_log
from watchkeeper.cli.options import ADDRESS, listening_at
from watchkeeper.cli.whereabouts import LAST
from watchkeeper.server import Runtime, configured, create_app, running
from watchkeeper.server.pulse import beating
from watchkeeper.server.serving import impatient
from watchkeeper.settings import Settings

LOST = 3
"""Exit code when another executor took the lease."""

SWITCH = 0.001
"""Seconds for which a thread of ours may compute before the event loop has its turn again; Python's own 5 ms add up to
dozens where both have much to do."""


def run(settings: Settings, listener: socket.socket, *, quiet: bool, file: Path | None) -> int:
    """Until stopped; the exit code. `file` is the configuration in use. Raises WatchkeeperError where it cannot
    start."""
    return asyncio.run(_up(settings, listener, quiet, file))


async def _up(settings: Settings, listener: socket.socket, quiet: bool, file: Path | None) -> int:
    sys.setswitchinterval(SWITCH)
    stop = asyncio.Event()

    def stopping() -> None:
        if not stop.is_set():
            say("Stopping; a fix that is under way is taken up at the next start.")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping)
    say("Looking around…")
    with listener:
        log = begin_log(settings.data)
        starting = asyncio.create_task(stop.wait())
        try:
            async with running(settings) as runtime, beating(runtime):
                log.mask(runtime.store.masker.value)
                greeting = Greeting(quiet, str(log.path or ""), file)
                return await _serve(runtime, listener, stop, greeting)
        finally:
            starting.cancel()


def say(text: str) -> None:
    """At once, from a thread of its own: a screen that stands still or has gone must hold nothing up."""

    def tell() -> None:
        with contextlib.suppress(OSError):
            print(text, flush=True)

    threading.Thread(target=tell, name="say", daemon=True).start()


async def _serve(runtime: Runtime, listener: socket.socket, stop: asyncio.Event, greeting: Greeting) -> int:
    server = serving(runtime)
    gc.enable()
    gc.collect()
    gc.freeze()  # what was loaded stays; to look through it all again held everything up for a quarter of a second
    teller = Teller(runtime)
    served = asyncio.create_task(server.serve(sockets=[impatient(listener)]), name="serve")
    ends: list[asyncio.Task[Any]] = [served, *(asyncio.create_task(event.wait()) for event in (stop, runtime.lost))]
    address = runtime.settings.data / ADDRESS
    address.write_text(listening_at(runtime.settings.server))
    greets = asyncio.create_task(greet(runtime, teller, greeting), name="greet")
    sets = asyncio.create_task(_set_aside(runtime), name="set aside")
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if runtime.lost.is_set():
            print("watchkeeper: another executor has taken over this store; this one ends at once.", file=sys.stderr)
            sys.stderr.flush()
            os._exit(LOST)
        if served.done():  # nobody asked it to end
            served.result()
    finally:
        with contextlib.suppress(OSError):  # the whole directory may be gone
            address.rename(address.with_name(LAST))
        server.should_exit = True
        greets.cancel()
        for task in ends[1:]:
            task.cancel()
        sets.cancel()
        await asyncio.gather(*ends, greets, sets, return_exceptions=True)
        await teller.stop()
    return 0


async def _set_aside(runtime: Runtime) -> None:
    """What the first looks made stays as well: of a thousand resources another look through it took 35 ms."""
    await runtime.watch.first_looks()
    gc.collect()
    gc.freeze()


def serving(runtime: Runtime):
    """A server whose end we decide: signals are ours, and streams that never end are cut off after a second."""

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    return Server(configured(create_app(runtime), runtime.settings.server))
