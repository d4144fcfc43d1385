"""The connector for PgBouncer: what others build on; looks are in `read`, hands in `tools`."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.pgbouncer.discovery import Discovery
from watchkeeper.connectors.pgbouncer.read import look, peers, try_out
from watchkeeper.connectors.pgbouncer.rights import PgbouncerAccess
from watchkeeper.connectors.pgbouncer.sample import SAMPLE
from watchkeeper.connectors.pgbouncer.session import PgbouncerSession
from watchkeeper.connectors.pgbouncer.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Tool

_HERE = Path(__file__).parent
_LINE = re.compile(r"\[\d+\] (?P<level>LOG|WARNING|ERROR|FATAL) (?P<text>.*)")
_SERVER = re.compile(r"\bS-0x\w+: .*(login failed|closing because: (server conn crashed|connect failed|login failed))")
_OURS = re.compile(r"pgbouncer/\w+@.*pooler error: (invalid command|admin access needed)|no such user")


class PgbouncerConnector:
    """PgBouncer poolers, 1.12 and newer."""

    kind = "pgbouncer"
    metric = "pool_used_ratio"
    sample: Reading = SAMPLE
    tools: Sequence[Tool[PgbouncerSession]] = TOOLS
    access = PgbouncerAccess()
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)

    def __init__(self) -> None:
        self._discovery = Discovery()

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """In containers and as processes, under whatever name, or named in the settings."""
        return self._discovery.discover(hosts, settings)

    def connect(self, resource: Resource, host: Host | None) -> aclosing[PgbouncerSession]:
        """A session that connects to the console with the first look and keeps its one connection open."""
        return aclosing(PgbouncerSession(resource, host))

    async def read(self, session: PgbouncerSession, last: Reading | None) -> Reading:
        """Pools, databases and clients; counters and settings less often."""
        return await look(session, last)

    async def probe(self, session: PgbouncerSession) -> Probe:
        """A query through it, where a database is named."""
        return await try_out(session)

    async def clients(self, session: PgbouncerSession) -> Sequence[str] | None:
        """The IP addresses of its clients, one for each connection, without ours."""
        return await peers(session)

    def level(self, line: str) -> Level | None:
        """The level PgBouncer itself gives a line; that a server does not let it in is an error, however it is told."""
        if not (match := _LINE.search(line)):
            return None
        if _SERVER.search(match["text"]):
            return "ERROR"
        if match["level"] == "LOG" or _OURS.search(match["text"]):
            return None
        return "CRITICAL" if match["level"] == "FATAL" else match["level"]  # type: ignore[return-value]


connector = PgbouncerConnector()
