"""The connector for nginx: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import load_rules, load_runbooks
from watchkeeper.connectors.nginx import discovery, traffic
from watchkeeper.connectors.nginx.read import look, try_out
from watchkeeper.connectors.nginx.sample import SAMPLE
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.connectors.nginx.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Rule, Runbook, Tool

_HERE = Path(__file__).parent


class NginxConnector:
    """nginx, and what is made of it (OpenResty, Angie, freenginx)."""

    kind = "nginx"
    metric = "connections_ratio"
    sample: Reading = SAMPLE
    tools: Sequence[Tool[NginxSession]] = TOOLS

    def __init__(self) -> None:
        self.rules: Sequence[Rule] = load_rules(_HERE / "rules.yaml", kind=self.kind, sample=self.sample)
        self.runbooks: Sequence[Runbook] = load_runbooks(
            _HERE / "runbooks", kind=self.kind, sample=self.sample, tools=self.tools
        )

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """In containers, under whatever name; units and plain processes; or named in the settings."""
        return discovery.discover(hosts, settings)

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[NginxSession]:
        """A session learns its configuration with the first look."""
        session = NginxSession(resource, host)
        try:
            yield session
        finally:
            await session.close()

    async def read(self, session: NginxSession, last: Reading | None) -> Reading:
        """Answer, connections and logs; the configuration where its files changed."""
        return await look(session, last)

    async def probe(self, session: NginxSession) -> Probe:
        """A real request."""
        return await try_out(session)

    def level(self, line: str) -> Level | None:
        """The level nginx itself gives a line of its error log."""
        return traffic.level(line)


connector = NginxConnector()
