"""The connector for nginx: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.nginx import discovery, traffic
from watchkeeper.connectors.nginx.read import look, try_out
from watchkeeper.connectors.nginx.rights import NginxAccess
from watchkeeper.connectors.nginx.sample import SAMPLE
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.connectors.nginx.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Tool

_HERE = Path(__file__).parent


class NginxConnector:
    """nginx, and what is made of it (OpenResty, Angie, freenginx)."""

    kind = "nginx"
    metric = "connections_ratio"
    setting_names: Sequence[str] = ("probe", "url", "username")
    sample: Reading = SAMPLE
    tools: Sequence[Tool[NginxSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)
    access = NginxAccess()

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """In containers, under whatever name; units and plain processes; or named in the settings."""
        return discovery.discover(hosts, settings)

    def connect(self, resource: Resource, host: Host | None) -> aclosing[NginxSession]:
        """A session learns its configuration with the first look."""
        return aclosing(NginxSession(resource, host))

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
