"""The connector for containers: what others build on; looks are in `read`, hands in `tools`."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import load_rules, load_runbooks
from watchkeeper.connectors.docker.declared import declared
from watchkeeper.connectors.docker.read import SAMPLE, ContainerSession, look, try_out
from watchkeeper.connectors.docker.tools import TOOLS
from watchkeeper.connectors.naming import resource_on
from watchkeeper.domain import ConfigurationError, Host, Level, Probe, Reading, Resource, Rule, Runbook, Tool
from watchkeeper.domain.drift import Declared
from watchkeeper.hosts import ContainerHost

_HERE = Path(__file__).parent
_PLAIN = re.compile(r"^.{0,80}?\b(DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|CRIT|CRITICAL|FATAL|PANIC|EMERG|ALERT)\b")
_LEVELS: dict[str, Level] = {
    "warn": "WARNING",
    "warning": "WARNING",
    "err": "ERROR",
    "error": "ERROR",
    "exception": "ERROR",
}
for _name in ("crit", "critical", "fatal", "panic", "emerg", "emergency", "alert"):
    _LEVELS[_name] = "CRITICAL"


class DockerConnector:
    """Every container of the engines we reach."""

    kind = "container"
    metric = "memory_ratio"
    sample: Reading = SAMPLE
    tools: Sequence[Tool[ContainerSession]] = TOOLS

    def __init__(self) -> None:
        self.rules: Sequence[Rule] = load_rules(_HERE / "rules.yaml", kind=self.kind, sample=self.sample)
        self.runbooks: Sequence[Runbook] = load_runbooks(
            _HERE / "runbooks", kind=self.kind, sample=self.sample, tools=self.tools
        )

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
        yield ContainerSession(resource, host)

    async def read(self, session: ContainerSession, last: Reading | None) -> Reading:
        """State, why it stopped, and what it uses. About 1 ms of CPU."""
        return await look(session, last)

    async def probe(self, session: ContainerSession) -> Probe:
        """It runs, and its own health check passes where it has one."""
        return await try_out(session)

    async def declared(self, session: ContainerSession) -> Sequence[Declared]:
        """Its limits, live and as its compose file declares them."""
        return await declared(session)

    def level(self, line: str) -> Level | None:
        """The level of a plain line, of a JSON line's `level`, or of a traceback's last line."""
        if line.startswith("{"):
            try:
                content: Any = json.loads(line)
            except ValueError:
                return None
            said = str(next((content[k] for k in ("level", "severity", "levelname", "lvl") if k in content), ""))
            return _level(said)
        if line.startswith("Traceback (most recent call last)") or "\nTraceback (most recent call last)" in line:
            return "ERROR"
        return _level(found[1]) if (found := _PLAIN.match(line)) else None


def _level(name: str) -> Level | None:
    return _LEVELS.get(name.lower())


connector = DockerConnector()
