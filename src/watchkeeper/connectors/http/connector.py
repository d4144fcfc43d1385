"""The connector for HTTP: what others build on; looks are in `read`, hands in `tools`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import define
from watchkeeper.connectors.http.discovery import Discovery
from watchkeeper.connectors.http.read import look, try_out
from watchkeeper.connectors.http.sample import SAMPLE
from watchkeeper.connectors.http.session import HttpSession
from watchkeeper.connectors.http.tools import TOOLS
from watchkeeper.connectors.http.wanted import HttpSettings
from watchkeeper.connectors.levels import level_of
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Tool

_HERE = Path(__file__).parent


class HttpConnector:
    """Services with a URL."""

    kind = "http"
    metric = "answer_seconds"
    setting_names: Sequence[str] = tuple(HttpSettings.model_fields)
    sample: Reading = SAMPLE
    tools: Sequence[Tool[HttpSession]] = TOOLS
    rules, runbooks = define(_HERE, kind=kind, sample=SAMPLE, tools=TOOLS)

    def __init__(self) -> None:
        self._discovery = Discovery()

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Named with a URL, labelled, by their own health check, or at a published port."""
        return self._discovery.discover(hosts, settings)

    def connect(self, resource: Resource, host: Host | None) -> aclosing[HttpSession]:
        """A client that connects with the first look and keeps its connections."""
        return aclosing(HttpSession(resource, host))

    async def read(self, session: HttpSession, last: Reading | None) -> Reading:
        """Health and readiness, asked for at the same time."""
        return await look(session, last)

    async def probe(self, session: HttpSession) -> Probe:
        """A real request."""
        return await try_out(session)

    def level(self, line: str) -> Level | None:
        return level_of(line)


connector = HttpConnector()
