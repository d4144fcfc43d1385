"""The pooler's log, followed: of whom it lets in and whom it refuses nothing else tells."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from watchkeeper.connectors.listening import listen
from watchkeeper.connectors.pgbouncer import access
from watchkeeper.connectors.pgbouncer.admissions import QUIET_SECONDS, Admissions
from watchkeeper.domain import Host, now
from watchkeeper.hosts import ServiceHost


class Logs:
    """Feeds the log of what it runs on into `admissions`."""

    def __init__(self, host: Host | None, name: str, ours: str) -> None:
        self.admissions = Admissions(ours, began=0.0)
        self.silence: float | None = QUIET_SECONDS
        """Seconds without a line after which it counts as unread; None where it may be silent for ever."""
        self._host = host
        self._name = name
        self._following: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """From now on, where that has not begun yet."""
        if self._host is None or self._following is not None:
            return
        self.admissions.began = asyncio.get_running_loop().time()
        self._following = asyncio.create_task(
            listen(self._lines, self._take, self._passed), name=f"log of {self._name}"
        )

    async def close(self) -> None:
        """Follow it no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    async def attend(self, settings: Mapping[str, str]) -> None:
        """Learn from SHOW CONFIG where it logs to, and how often at least."""
        period = settings.get("stats_period", "")
        talks = settings.get("log_stats") == "1" and period.isdigit()
        self.silence = min(QUIET_SECONDS, 1.5 * float(period)) if talks else None
        if isinstance(self._host, ServiceHost):
            self._host.told(log=await _file(self._host, settings.get("logfile", "")))

    async def _lines(self) -> AsyncIterator[str]:
        if self._host is not None:
            async for _, line in self._host.logs():
                yield line

    def _take(self, at: float, line: str) -> None:
        self.admissions.line(at, now(), line)

    def _passed(self) -> None:
        self.admissions.passed += 1


async def _file(host: ServiceHost, named: str) -> str:
    """The file it logs to, where it says nothing on its output."""
    if not named.startswith("/"):
        return ""
    return named if access.is_quiet(await host.processes()) else ""
