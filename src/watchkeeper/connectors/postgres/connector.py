"""The connector for PostgreSQL: what others build on; looks are in `read`, hands in `tools`."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.postgres import discovery
from watchkeeper.connectors.postgres.read import look, try_out
from watchkeeper.connectors.postgres.rights import PostgresAccess
from watchkeeper.connectors.postgres.sample import SAMPLE
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Tool

_HERE = Path(__file__).parent
_LINE = re.compile(r"\b(?P<level>WARNING|ERROR|FATAL|PANIC):\s+(?P<text>.*)")
_EXPECTED = re.compile(r"canceling statement due to (user request|lock timeout)|terminating connection due to admin")


class PostgresConnector:
    """PostgreSQL servers, 14 and newer."""

    kind = "postgres"
    metric = "connections_ratio"
    setting_names: Sequence[str] = ("database", "password", "protect", "spare_folder", "url", "username")
    sample: Reading = SAMPLE
    tools: Sequence[Tool[PostgresSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)
    access = PostgresAccess()

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """In containers, under whatever name, or named in the settings."""
        return discovery.discover(hosts, settings)

    def connect(self, resource: Resource, host: Host | None) -> aclosing[PostgresSession]:
        """A session that connects with the first look and keeps its one connection open."""
        return aclosing(PostgresSession(resource, host))

    async def read(self, session: PostgresSession, last: Reading | None) -> Reading:
        """Sessions and locks; counters, tables and disk less often."""
        return await look(session, last)

    async def probe(self, session: PostgresSession) -> Probe:
        """Write, read back and commit; only read where changes are not permitted."""
        return await try_out(session)

    def level(self, line: str) -> Level | None:
        """The level PostgreSQL itself gives a line; what our own tools end on purpose is only a warning."""
        if not (match := _LINE.search(line)):
            return None
        if match["level"] in ("FATAL", "PANIC"):
            return "WARNING" if _EXPECTED.search(match["text"]) else "CRITICAL"
        return "WARNING" if match["level"] == "WARNING" or _EXPECTED.search(match["text"]) else "ERROR"


connector = PostgresConnector()
