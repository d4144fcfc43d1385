"""The connector for services of a machine: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.levels import level_of
from watchkeeper.connectors.naming import resource_on
from watchkeeper.connectors.service.read import SAMPLE, ServiceSession, look, try_out
from watchkeeper.connectors.service.rights import ServiceAccess
from watchkeeper.connectors.service.tools import TOOLS
from watchkeeper.domain import ConfigurationError, Host, Level, Probe, Reading, Resource, Tool
from watchkeeper.domain.healer import Healer
from watchkeeper.hosts import ServiceHost

_HERE = Path(__file__).parent


class ServiceConnector:
    """Every systemd unit, and every plain process that listens, of the machines we reach."""

    kind = "service"
    metric = "memory_ratio"
    setting_names: Sequence[str] = ("username",)
    sample: Reading = SAMPLE
    tools: Sequence[Tool[ServiceSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)
    access = ServiceAccess()

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Each is a resource; those that are not named and that nothing else knows are left out later."""
        for host in hosts:
            if isinstance(host, ServiceHost):
                yield resource_on(host, kind=self.kind, suffix="-service")

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[ServiceSession]:
        """A session holds nothing open: the machine keeps its own connection."""
        if not isinstance(host, ServiceHost):
            raise ConfigurationError(f"{resource.id} is not on a machine that can be reached.")
        yield ServiceSession(resource, host)

    async def read(self, session: ServiceSession, last: Reading | None) -> Reading:
        """State, why it stopped, and what it uses."""
        return await look(session, last)

    async def probe(self, session: ServiceSession) -> Probe:
        """It runs."""
        return await try_out(session)

    def healers(self, session: ServiceSession) -> Sequence[Healer]:
        """`Restart=` of its unit, and Patroni where it is that."""
        return session.healers

    def level(self, line: str) -> Level | None:
        return level_of(line)


connector = ServiceConnector()
