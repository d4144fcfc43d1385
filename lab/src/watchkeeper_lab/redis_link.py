"""A connection of the lab's own to its Redis, straight to the published port."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from watchkeeper_lab.instance import RedisAddress

Command = tuple[str | bytes | int | float, ...]


class RedisLink:
    """One connection. Commands go out as they are given; answers come back as bytes, ints and lists."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def send(self, *words: str | bytes | int | float) -> Any:
        """Send one command and return its answer. Raises `redis.RedisError` where the server refuses or is silent."""
        return await self._client.execute_command(*words)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    async def send_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send many commands in one go; an answer that is an error is returned as the exception, in its place."""
        pipe = self._client.pipeline(transaction=False)
        for words in commands:
            pipe.execute_command(*words)  # pyright: ignore[reportUnknownMemberType]
        return await pipe.execute(raise_on_error=False)

    async def info(self) -> dict[str, Any]:
        """INFO, all sections, by name."""
        return await self.send("INFO")

    async def config(self, name: str) -> str:
        """One configuration value, as text."""
        answer: list[bytes] | dict[bytes, bytes] = await self.send("CONFIG", "GET", name)
        return (next(iter(answer.values())) if isinstance(answer, dict) else answer[1]).decode()


@asynccontextmanager
async def redis_link(where: RedisAddress, *, timeout: float = 2.0, database: int = 0) -> AsyncGenerator[RedisLink]:
    """A connection to one of the databases of a Redis; `timeout` in seconds, for connecting and for each answer."""
    client = Redis(
        host="127.0.0.1",
        port=where.port,
        db=database,
        username=where.username or None,
        password=where.password or None,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        single_connection_client=True,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield RedisLink(client)
    finally:
        await client.aclose()


def memory_ratio(info: dict[str, Any]) -> float:
    """Share of maxmemory in use, 0 where there is no limit."""
    limit = float(info.get("maxmemory", 0))
    return float(info["used_memory"]) / limit if limit else 0.0


def client_ratio(info: dict[str, Any]) -> float:
    """Share of maxclients connected."""
    return float(info["connected_clients"]) / float(info["maxclients"])
