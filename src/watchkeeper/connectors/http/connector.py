"""The connector for HTTP: what others build on; looks are in `read`, hands in `tools`."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from watchkeeper.connectors.definitions import load_rules, load_runbooks
from watchkeeper.connectors.http.discovery import Discovery
from watchkeeper.connectors.http.read import look, try_out
from watchkeeper.connectors.http.sample import SAMPLE
from watchkeeper.connectors.http.session import HttpSession
from watchkeeper.connectors.http.tools import TOOLS
from watchkeeper.domain import Host, Level, Probe, Reading, Resource, Rule, Runbook, Tool

_HERE = Path(__file__).parent
_PLAIN = re.compile(r"^.{0,80}?\b(DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|CRIT|CRITICAL|FATAL|PANIC)\b")
_LEVELS: dict[str, Level] = {
    "warn": "WARNING",
    "warning": "WARNING",
    "err": "ERROR",
    "error": "ERROR",
    "exception": "ERROR",
    "crit": "CRITICAL",
    "critical": "CRITICAL",
    "fatal": "CRITICAL",
    "panic": "CRITICAL",
}


class HttpConnector:
    """Services with a URL."""

    kind = "http"
    metric = "answer_seconds"
    sample: Reading = SAMPLE
    tools: Sequence[Tool[HttpSession]] = TOOLS

    def __init__(self) -> None:
        self._discovery = Discovery()
        self.rules: Sequence[Rule] = load_rules(_HERE / "rules.yaml", kind=self.kind, sample=self.sample)
        self.runbooks: Sequence[Runbook] = load_runbooks(
            _HERE / "runbooks", kind=self.kind, sample=self.sample, tools=self.tools
        )

    def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        """Named with a URL, labelled, by their own health check, or at a published port."""
        return self._discovery.discover(hosts, settings)

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[HttpSession]:
        """A client that connects with the first look and keeps its connections."""
        session = HttpSession(resource, host)
        try:
            yield session
        finally:
            await session.close()

    async def read(self, session: HttpSession, last: Reading | None) -> Reading:
        """Health and readiness, asked for at the same time."""
        return await look(session, last)

    async def probe(self, session: HttpSession) -> Probe:
        """A real request."""
        return await try_out(session)

    def level(self, line: str) -> Level | None:
        """The level of a plain line, of a JSON line's `level`, or of a traceback."""
        if line.startswith("{"):
            try:
                content: Any = json.loads(line)
            except ValueError:
                return None
            said = next((content[k] for k in ("level", "severity", "levelname", "lvl") if k in content), "")
            return _LEVELS.get(str(said).lower())
        if line.startswith("Traceback (most recent call last)") or "\nTraceback (most recent call last)" in line:
            return "ERROR"
        return _LEVELS.get(found[1].lower()) if (found := _PLAIN.match(line)) else None


connector = HttpConnector()
