"""The connector for Redis Sentinel: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.redis.levels import level
from watchkeeper.connectors.redis.rights import RedisAccess
from watchkeeper.connectors.redis.sentinel import discovery
from watchkeeper.connectors.redis.sentinel.read import LOOK, SAMPLE, look, try_out
from watchkeeper.connectors.redis.sentinel.session import SentinelSession
from watchkeeper.connectors.redis.sentinel.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Right, Tool

_HERE = Path(__file__).parent


class SentinelAccess(RedisAccess):
    """A Sentinel has access lists of its own, and no keys."""

    form = "sentinel-acl"
    look: Sequence[Right] = LOOK

    def probe(self, *, writes: bool) -> Sequence[Right]:
        return ()


class SentinelConnector:
    """Redis Sentinel: it keeps no data, and heals the primaries it watches."""

    kind = "sentinel"
    metric = "sentinels"
    sample: Reading = SAMPLE
    tools: Sequence[Tool[SentinelSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)
    access = SentinelAccess()

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """In containers and on machines, by their command; or named in the settings."""
        return discovery.discover(hosts, settings)

    def connect(self, resource: Resource, host: Host | None) -> aclosing[SentinelSession]:
        """A session that connects with the first look and keeps its one connection open."""
        return aclosing(SentinelSession(resource, host))

    async def read(self, session: SentinelSession, last: Reading | None) -> Reading:
        """What it watches, whether it could fail over, and what it does now."""
        return await look(session, last)

    async def probe(self, session: SentinelSession) -> Probe:
        """It answers, and a failover would be authorised."""
        return await try_out(session)

    def level(self, line: str) -> Level | None:
        """As Redis logs."""
        return level(line)


connector = SentinelConnector()
