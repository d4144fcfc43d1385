"""An open session with one Sentinel: it speaks Redis' protocol, on another port, and knows other commands."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from watchkeeper.connectors.redis import access
from watchkeeper.connectors.redis.session import RedisSession

PORT = 26379


class SentinelSession(RedisSession):
    """What looks and tools work on."""

    failing_since: float | None = None
    """Loop time since when a failover has been going on."""

    async def addresses(self) -> Sequence[tuple[str, int]]:
        if url := self.resource.settings.get("url"):
            parts = urlsplit(str(url))
            return [(parts.hostname or "127.0.0.1", parts.port or PORT)]
        return await super().addresses()

    async def port(self) -> int:
        if url := self.resource.settings.get("url"):
            return urlsplit(str(url)).port or PORT
        if self.resource.settings.get("port") or self.host is None:
            return await super().port()
        return access.sentinel_port(await self.host.processes())
