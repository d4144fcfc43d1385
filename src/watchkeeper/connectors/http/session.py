"""An open session with one service: a client that keeps its connections, and how it answered lately."""

import asyncio
import time
from collections import defaultdict, deque
from datetime import datetime
from urllib.parse import urlunsplit

import httpx

from watchkeeper.connectors.asking import Answer, ask, client
from watchkeeper.connectors.http.patience import PATIENT, Patience
from watchkeeper.connectors.http.wanted import Wanted, joined, wanted
from watchkeeper.domain import Host, Resource, WatchkeeperError

LATELY = 20.0
"""Seconds of answers whose times are `p50` and `p95`."""
BEFORE = 900.0
"""Seconds before those that say how long it usually takes."""
ENOUGH = 15
"""Answers that are needed to say so."""


class HttpSession:
    """What looks and tools work on. Opening it never fails."""

    def __init__(self, resource: Resource, host: Host | None) -> None:
        self.resource = resource
        self.host = host
        self.wanted: Wanted = wanted(resource.settings, resource.slug)
        self.silent_since: float | None = None
        self.not_ready_since: float | None = None
        self.failures = 0
        """Looks in a row without a good answer."""
        self.answered_at: datetime | None = None
        self._took: deque[tuple[float, float]] = deque(maxlen=4000)
        self._client: httpx.AsyncClient | None = None
        self._patience: defaultdict[str, Patience] = defaultdict(Patience)

    async def aclose(self) -> None:
        for patience in self._patience.values():
            patience.end()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def base(self) -> str:
        """Where it is reached from here. Raises WatchkeeperError."""
        settings = self.wanted.settings
        port = self.resource.ports[0] if self.resource.ports else settings.port
        if settings.url:
            return settings.url
        if self.host is None or port is None:
            raise WatchkeeperError(f"{self.resource.slug} has no address.", "Name it with a `url`.")
        there = await self.host.endpoints(port)
        if not there:
            raise WatchkeeperError("it has no address while it does not run")
        address, number = there[0]
        return urlunsplit(
            (settings.scheme, f"[{address}]:{number}" if ":" in address else f"{address}:{number}", "/", "", "")
        )

    async def get(self, path: str, *, timeout: float | None = None) -> Answer:
        """One GET. Never raises for what may happen to it."""
        try:
            url = joined(await self.base(), path)
            if self._client is None:
                self._client = client(verify=self.wanted.settings.verify, headers=self.wanted.headers())
        except (WatchkeeperError, TimeoutError) as problem:
            said = problem.what if isinstance(problem, WatchkeeperError) else "its host does not say where it is"
            return Answer(path, 0, 0.0, failure="refused", said=said)
        timeout = timeout or self.wanted.settings.timeout
        answer = await ask(self._client, url, timeout=timeout)
        if answer.failure == "lost":  # a kept connection that it had closed meanwhile: once more on a new one
            answer = await ask(self._client, url, timeout=timeout)
        return answer

    async def hear(self, path: str) -> Answer:
        """One GET that is waited for no longer than `timeout`. Of one that takes longer, its last late answer counts:
        who is slow does not hang."""
        seconds = self.wanted.settings.timeout
        request = self.get(path, timeout=max(PATIENT, seconds))
        heard = await self._patience[path].hear(request, seconds)
        return heard or Answer(path, 0, seconds, failure="silent", said=f"no answer within {seconds:g} s")

    def took(self, seconds: float) -> None:
        """An answer came after so many seconds."""
        self._took.append((time.monotonic(), seconds))

    def times(self) -> dict[str, float]:
        """`p50_seconds` and `p95_seconds` of lately, `usual_seconds` of before, and how many times slower it is now."""
        here = time.monotonic()
        while self._took and here - self._took[0][0] > BEFORE + LATELY:
            self._took.popleft()
        lately = sorted(took for at, took in self._took if here - at <= LATELY)
        before = sorted(took for at, took in self._took if here - at > LATELY)
        if not lately:
            return {}
        told = {"p50_seconds": _quantile(lately, 0.5), "p95_seconds": _quantile(lately, 0.95), "slowness_ratio": 1.0}
        if len(before) >= ENOUGH:
            told["usual_seconds"] = usual = _quantile(before, 0.5)
            told["slowness_ratio"] = told["p50_seconds"] / max(usual, 0.001)
        return told

    def heard(self) -> None:
        """It answered, or nobody can expect it to."""
        self.silent_since = None

    def silent(self) -> float:
        """Seconds since when it has not answered though it ought to."""
        here = asyncio.get_running_loop().time()
        self.silent_since = self.silent_since or here - self.wanted.settings.timeout
        return here - self.silent_since

    def not_ready(self, ready: bool) -> float:
        """Seconds for which it has not been ready; 0 where it is."""
        here = asyncio.get_running_loop().time()
        self.not_ready_since = None if ready else self.not_ready_since or here
        return here - self.not_ready_since if self.not_ready_since else 0.0


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
