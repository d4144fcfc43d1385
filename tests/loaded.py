"""What a `watchkeeper up`, and the other commands, load, loaded once: programs of the tests are forked from here.

It opens nothing."""

import gc
import pkgutil
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import watchkeeper.cli
from watchkeeper.connectors.registry import Registry
from watchkeeper.server import create_app
from watchkeeper.settings import Settings

LATER = (
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "aiosqlite.core",
    "alembic.command",
    "certifi",
    "dbos._sys_db_sqlite",
    "encodings.idna",
    "httpcore",
    "mcp.server.mcpserver",
    "redis.asyncio",
    "rich.tree",
    "typer._adapters",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)
"""What is loaded only when it is first needed, and nearly always is."""
for name in (*(f"watchkeeper.cli.{found.name}" for found in pkgutil.iter_modules(watchkeeper.cli.__path__)), *LATER):
    import_module(name)
Registry.installed()
without: Any = SimpleNamespace(settings=Settings(), sharing=None)
create_app(without).openapi()
gc.collect()
gc.freeze()  # what all forks share is looked through here, not by each of them anew
