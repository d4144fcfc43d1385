"""`watchkeeper up`: the one executor: watches, decides, acts, and serves the API."""

import asyncio
import os
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchkeeper.cli.options import ADDRESS, Options, listening_at

if TYPE_CHECKING:
    import socket

    from watchkeeper.server import Runtime
    from watchkeeper.settings import Settings

LOST = 3
"""Exit code when another executor took the lease."""
FIRST_LOOKS_SECONDS = 5.0
"""How long the first table waits for every resource to have been looked at."""


class Mode(StrEnum):
    observe = "observe"
    approve = "approve"
    auto = "auto"


def register(app: typer.Typer) -> None:
    app.command()(up)


def up(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port to listen at.")] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="observe: never acts; approve: every change waits; auto: within policy.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell what happens as it happens.")] = False,
) -> None:
    """Watch what can be reached from here; serve the API, until stopped with Ctrl-C."""
    settings = Options.of(context).settings()
    server = settings.server.model_copy(
        update={name: value for name, value in (("host", host), ("port", port)) if value is not None}
    )
    settings = settings.model_copy(update={"server": server} | ({"mode": mode.value} if mode else {}))
    listener = bound(server.host, server.port)  # before anything acts
    raise typer.Exit(asyncio.run(_up(settings, listener, quiet)))


def bound(host: str, port: int) -> "socket.socket":
    """A socket that listens there already. Raises WatchkeeperError where it cannot."""
    import errno
    import socket

    from watchkeeper.domain.errors import WatchkeeperError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise WatchkeeperError(
                f"Port {port} of {host} is in use.", "Choose another: watchkeeper up --port PORT, or stop what uses it."
            ) from None
        raise WatchkeeperError(
            f"It cannot listen at {host}, port {port}: {problem.strerror}.", "Choose others: --host HOST --port PORT."
        ) from None
    listener.setblocking(False)
    return listener


async def _up(settings: "Settings", listener: "socket.socket", quiet: bool) -> int:
    from watchkeeper.cli.logs import begin_log
    from watchkeeper.server import running

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with listener:
        log = begin_log(settings.data)
        starting = asyncio.create_task(stop.wait())
        try:
            async with running(settings) as runtime:
                log.mask(runtime.store.masker.value)
                return await _serve(runtime, listener, stop, quiet, str(log.path or ""))
        finally:
            starting.cancel()


async def _serve(runtime: "Runtime", listener: "socket.socket", stop: asyncio.Event, quiet: bool, log: str) -> int:
    from watchkeeper.cli.greeting import Teller, greet

    server = serving(runtime)
    teller = Teller(runtime)
    served = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
    ends: list[asyncio.Task[Any]] = [served, *(asyncio.create_task(event.wait()) for event in (stop, runtime.lost))]
    address = runtime.settings.data / ADDRESS
    address.write_text(listening_at(runtime.settings.server.host, runtime.settings.server.port))
    greeting = asyncio.create_task(greet(runtime, teller, quiet=quiet, log=log), name="greet")
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if runtime.lost.is_set():
            print("watchkeeper: another executor has taken over this store; this one ends at once.", file=sys.stderr)
            sys.stderr.flush()
            os._exit(LOST)
    finally:
        address.unlink(missing_ok=True)
        server.should_exit = True
        greeting.cancel()
        for task in ends[1:]:
            task.cancel()
        await asyncio.gather(*ends, greeting, return_exceptions=True)
        await teller.stop()
    return 0


def serving(runtime: "Runtime"):
    """A server whose end we decide: signals are ours, and streams that never end are cut off after a second."""
    import contextlib
    from collections.abc import Generator

    import uvicorn

    from watchkeeper.server import create_app

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    return Server(
        uvicorn.Config(
            create_app(runtime), log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
    )
