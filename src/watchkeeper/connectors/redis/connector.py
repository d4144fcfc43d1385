"""The connector for Redis: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.redis import discovery
from watchkeeper.connectors.redis.declared import declared
from watchkeeper.connectors.redis.levels import level
from watchkeeper.connectors.redis.losing import lost
from watchkeeper.connectors.redis.part import healers
from watchkeeper.connectors.redis.read import look, peers, try_out
from watchkeeper.connectors.redis.rights import RedisAccess
from watchkeeper.connectors.redis.sample import SAMPLE
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.connectors.redis.starting_with import starting_with
from watchkeeper.connectors.redis.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Tool
from watchkeeper.domain.drift import Declared
from watchkeeper.domain.healer import Healer

_HERE = Path(__file__).parent


class RedisConnector:
    """Redis, Valkey and KeyDB servers."""

    kind = "redis"
    metric = "used_memory_ratio"
    setting_names: Sequence[str] = ("cache_keys", "password", "port", "url", "username")
    sample: Reading = SAMPLE
    tools: Sequence[Tool[RedisSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)
    access = RedisAccess()

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """In containers, under whatever name; named in the settings; or plainly on this machine's usual port."""
        return discovery.discover(hosts, settings)

    def connect(self, resource: Resource, host: Host | None) -> aclosing[RedisSession]:
        """A session that connects with the first look and keeps its one connection open."""
        return aclosing(RedisSession(resource, host))

    async def read(self, session: RedisSession, last: Reading | None) -> Reading:
        """INFO and a timed PING, and seldom a little more."""
        return await look(session, last)

    async def probe(self, session: RedisSession) -> Probe:
        """Write, read back and remove a key of our own; only read where changes are not permitted."""
        return await try_out(session)

    async def declared(self, session: RedisSession) -> Sequence[Declared]:
        """Its settings, live and as redis.conf or its command line declares them."""
        return await declared(session)

    async def starting_with(self, session: RedisSession, live: Mapping[str, str]) -> Sequence[Declared]:
        """Of the settings that were in force, what the next start gives them, where that is known."""
        return await starting_with(session, live)

    async def clients(self, session: RedisSession) -> Sequence[str] | None:
        """The IP addresses of its clients, one for each connection, without ours; None where it may not be asked, or
        where so many would cost more than it tells."""
        return await peers(session)

    def lost(self, before: Sequence[Reading], after: Sequence[Reading]) -> str:
        """Whether it came back without its keys."""
        return lost(before, after)

    def healers(self, session: RedisSession) -> Sequence[Healer]:
        """Its Sentinels, or the cluster it is a node of."""
        return healers(session.part)

    def level(self, line: str) -> Level | None:
        """As Redis marks it."""
        return level(line)


connector = RedisConnector()
