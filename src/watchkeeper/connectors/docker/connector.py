"""The connector for containers: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from watchkeeper.connectors import network
from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.docker.declared import declared
from watchkeeper.connectors.docker.read import SAMPLE, ContainerSession, look, try_out
from watchkeeper.connectors.docker.tools import TOOLS
from watchkeeper.connectors.levels import level_of
from watchkeeper.connectors.naming import resource_on
from watchkeeper.domain import ConfigurationError, Host, Level, Probe, Reading, Resource, Tool
from watchkeeper.domain.drift import Declared
from watchkeeper.domain.healer import Healer
from watchkeeper.hosts import ContainerHost

_HERE = Path(__file__).parent


class DockerConnector:
    """Every container of the engines we reach."""

    kind = "container"
    metric = "memory_ratio"
    setting_names: Sequence[str] = ()
    sample: Reading = SAMPLE
    tools: Sequence[Tool[ContainerSession]] = TOOLS
    _own = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)
    rules = (*_own[0], *network.rules_of(kind, SAMPLE))
    runbooks = (*_own[1], *network.runbooks_of(kind, SAMPLE))

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Each container is one resource, stopped ones too."""
        for host in hosts:
            if isinstance(host, ContainerHost):
                yield resource_on(host, kind=self.kind, suffix="-container")

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[ContainerSession]:
        """A session holds nothing open: the engine is asked anew each time."""
        if not isinstance(host, ContainerHost):
            raise ConfigurationError(f"{resource.id} is not on a container engine that can be reached.")
        session = ContainerSession(resource, host)
        try:
            yield session
        finally:
            await session.eyes.close()

    async def read(self, session: ContainerSession, last: Reading | None) -> Reading:
        """State, why it stopped, and what it uses. About 1 ms of CPU."""
        return await look(session, last)

    async def probe(self, session: ContainerSession) -> Probe:
        """It runs, and its own health check passes where it has one."""
        return await try_out(session)

    async def declared(self, session: ContainerSession) -> Sequence[Declared]:
        """Its limits, live and as its compose file declares them."""
        return await declared(session)

    def healers(self, session: ContainerSession) -> Sequence[Healer]:
        """Its restart policy, and Patroni where that is what runs in it."""
        return session.healers

    def level(self, line: str) -> Level | None:
        return level_of(line)


connector = DockerConnector()
