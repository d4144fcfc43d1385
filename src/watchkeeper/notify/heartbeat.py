"""The dead man's switch: somebody outside is told again and again that the watcher works, and notices when it stops."""

from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
import structlog

log = structlog.get_logger(__name__)
SECONDS = 10.0
"""How long the receiver may take."""


class Heartbeat:
    """GETs a URL while all is well (healthchecks.io, Dead Man's Snitch, Uptime Kuma); else is silent, or POSTs what is
    wrong to `failing`: a URL, or what is appended to the path (`/fail`) or taken as the query (`?status=down`)."""

    def __init__(self, url: str, failing: str | None = None) -> None:
        self._url = url
        self._failing = None if failing is None else beside(url, failing)
        self._reached = True

    async def beat(self, problems: Sequence[str]) -> bool:
        """Tell how it is; whether somebody was told. Never raises."""
        if problems and self._failing is None:
            return False
        try:
            async with httpx.AsyncClient(timeout=SECONDS) as client:
                if problems:
                    answer = await client.post(self._failing or "", content="; ".join(problems))
                else:
                    answer = await client.get(self._url)
            answer.raise_for_status()
        except Exception as problem:  # its text may hold the URL, which is a secret
            if self._reached:
                log.warning("the heartbeat's receiver cannot be reached", problem=type(problem).__name__)
            self._reached = False
            return False
        self._reached = True
        return True


def beside(url: str, failing: str) -> str:
    """
    >>> beside("https://hc.example/abc", "/fail")
    'https://hc.example/abc/fail'
    >>> beside("https://kuma.example/api/push/abc?status=up", "?status=down")
    'https://kuma.example/api/push/abc?status=down'
    """
    if failing.startswith("/"):
        parts = urlsplit(url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + failing))
    return urljoin(url, failing)
