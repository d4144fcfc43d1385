"""`watchkeeper up`: the one executor: watches, decides, acts, and serves the API."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper.cli.options import Options

if TYPE_CHECKING:
    import socket


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
    only: Annotated[
        list[str] | None,
        typer.Option(help="Watch nothing but this: a slug, an id, a compose project, or a glob; may be repeated."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell what happens as it happens.")] = False,
) -> None:
    """Watch what can be reached from here; serve the API, until stopped with Ctrl-C."""
    options = Options.of(context)
    settings = options.settings()
    server = settings.server.model_copy(
        update={name: value for name, value in (("host", host), ("port", port)) if value is not None}
    )
    given = ({"mode": mode.value} if mode else {}) | ({"only": only} if only else {})
    settings = settings.model_copy(update={"server": server} | given)
    listener = bound(server.host, server.port)  # before anything acts
    import gc

    gc.disable()  # until it serves: what is loaded now stays, and looking through it takes a tenth of the time
    from watchkeeper.cli.executor import run

    raise typer.Exit(run(settings, listener, quiet=quiet, file=options.file()))


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
