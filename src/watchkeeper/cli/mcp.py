"""`watchkeeper mcp`: what an agent's client starts; a client of the running server itself."""

import typer

from watchkeeper.cli.options import Options


def register(app: typer.Typer) -> None:
    app.command()(mcp)


def mcp(context: typer.Context) -> None:
    """Serve agents over stdio (Model Context Protocol); a desktop or editor client starts this."""
    import asyncio
    import sys

    from watchkeeper.domain.errors import WatchkeeperError

    options = Options.of(context)
    with options.client() as client:
        client.get("/healthz")  # it says what is wrong better than the protocol can
        url, token = client.url, client.token
    if not token:
        where = options.settings().data / "token"
        raise WatchkeeperError(
            f"The operator's token cannot be read: {where}.", "Run this as the user who runs `watchkeeper up`."
        )
    try:
        from watchkeeper.cli.bridge import serve
    except ImportError as problem:
        raise WatchkeeperError(f"MCP is not installed here ({problem}).", "pip install 'watchkeeper[mcp]'") from None
    if sys.stdin.isatty():
        print(
            "It waits for a client's messages on standard input; docs/mcp.md says how to set one up.", file=sys.stderr
        )
    asyncio.run(serve(url, token, options.trusted()))
