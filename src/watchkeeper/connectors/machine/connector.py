"""The connector for machines: what others build on; looks are in `read`, questions in `tools`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.machine.read import MachineSession, look, try_out
from watchkeeper.connectors.machine.sample import SAMPLE
from watchkeeper.connectors.machine.tools import TOOLS
from watchkeeper.connectors.naming import resource_on
from watchkeeper.domain import ConfigurationError, Host, Level, Probe, Reading, Resource, Tool
from watchkeeper.hosts import MachineHost

_HERE = Path(__file__).parent


class MachineConnector:
    """This machine, and those reached over SSH."""

    kind = "machine"
    metric = "memory_used_ratio"
    sample: Reading = SAMPLE
    tools: Sequence[Tool[MachineSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Each machine of the configuration."""
        for host in hosts:
            if isinstance(host, MachineHost):
                yield resource_on(host, kind=self.kind)

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[MachineSession]:
        """A session holds nothing open: the machine keeps its own connection."""
        if not isinstance(host, MachineHost):
            raise ConfigurationError(f"{resource.id} is no machine that can be reached.")
        yield MachineSession(resource, host)

    async def read(self, session: MachineSession, last: Reading | None) -> Reading:
        """What it has left, and what is wrong with it."""
        return await look(session, last)

    async def probe(self, session: MachineSession) -> Probe:
        """It answers."""
        return await try_out(session)

    def level(self, line: str) -> Level | None:
        return None


connector = MachineConnector()
