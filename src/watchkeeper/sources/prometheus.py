"""Asks a store that understands PromQL: many expressions in one query, each answer with its labels."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from watchkeeper.connectors.asking import client
from watchkeeper.settings import secret
from watchkeeper.settings.part import REFERENCE
from watchkeeper.settings.sources import SourceSettings

MARK = "watchkeeper_part"
"""The label that tells the parts of one query apart."""
MOST = 32 << 20
"""Bytes of an answer that are read: 100,000 series."""
AGAIN = 300.0
"""Seconds until a part that the store refused is asked for again."""
AT_ONCE = 4
"""Queries under way at the same time."""


class NoAnswer(Exception):
    """The store did not answer; the text says why, in words."""


class RefusedQuery(Exception):
    """The store does not understand the query, or cannot carry it out."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value. `at` is the store's own time of the answer, in seconds since 1970."""

    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """By part: its samples, or why the store refused it. `warnings` are the store's own."""

    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict[str, Sequence[Sample]])
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    warnings: Sequence[str] = ()


class Prometheus:
    """One store. It connects with the first query; `problem` says why the last one had no answer."""

    def __init__(self, name: str, settings: SourceSettings) -> None:
        self.name = name
        self.problem: str | None = None
        self.settings = settings
        self._http: httpx.AsyncClient | None = None
        self._refused: dict[str, tuple[float, str]] = {}
        """By expression: until when it is not asked for, and what the store said."""
        self._free = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def ask(self, parts: Mapping[str, str], lookback: float = 0.0) -> Answer:
        """All parts in one query. What the store refuses is found out one by one, and left out for a while. `lookback`
        in seconds: a sample older than that is none. Raises NoAnswer."""
        present = time.monotonic()
        self._refused = {query: why for query, why in self._refused.items() if why[0] > present}
        refused = {key: self._refused[query][1] for key, query in parts.items() if query in self._refused}
        wanted = {key: query for key, query in parts.items() if key not in refused}
        try:
            samples, warnings = await self._asked(wanted, lookback)
        except RefusedQuery as problem:
            if len(wanted) == 1:
                ((key, query),) = wanted.items()
                self._refused[query] = (present + AGAIN, str(problem))
                return Answer({}, refused | {key: str(problem)})
            apart = await asyncio.gather(*(self.ask({key: query}, lookback) for key, query in wanted.items()))
            samples = {key: found for answer in apart for key, found in answer.samples.items()}
            refused |= {key: why for answer in apart for key, why in answer.refused.items()}
            warnings = list(dict.fromkeys(said for answer in apart for said in answer.warnings))
        return Answer(samples, refused, warnings)

    async def _asked(self, parts: Mapping[str, str], lookback: float) -> tuple[dict[str, list[Sample]], list[str]]:
        if not parts:
            return {}, []
        marked = " or ".join(f'label_replace({query}, "{MARK}", "{key}", "", "")' for key, query in parts.items())
        # Prometheus and Mimir know lookback_delta, VictoriaMetrics max_lookback; others take no notice.
        within = {"lookback_delta": f"{lookback:.0f}s", "max_lookback": f"{lookback:.0f}s"} if lookback else {}
        data, warnings = await self.call("/api/v1/query", {"query": marked} | within)
        found: dict[str, list[Sample]] = {key: [] for key in parts}
        for series in data["result"]:
            labels = dict(cast("Mapping[str, str]", series["metric"]))
            key = labels.pop(MARK, "")
            at, value = series["value"]
            if key in found:
                found[key].append(Sample(labels, float(value), float(at)))
        return found, warnings

    async def sampled(self, series: str, seconds: float) -> list[tuple[Mapping[str, str], list[float]]]:
        """When the samples of each such series were taken, of late. Raises NoAnswer, RefusedQuery."""
        data, _ = await self.call("/api/v1/query", {"query": f"{series}[{seconds:.0f}s]"})
        return [(one["metric"], [float(at) for at, _ in one["values"]]) for one in data["result"]]

    async def call(self, path: str, given: Mapping[str, str], method: str = "POST") -> tuple[Any, list[str]]:
        """The `data` of an answer, and its warnings. Raises NoAnswer, RefusedQuery."""
        try:
            async with self._free, asyncio.timeout(self.settings.timeout):
                status, body = await self._sent(method, path, given)
        except (httpx.HTTPError, OSError, ValueError) as problem:
            silent = isinstance(problem, TimeoutError | httpx.TimeoutException)
            said = f"no answer within {self.settings.timeout:g} s" if silent else _said(problem)
            self.problem = f"{self.name} ({self.settings.url}) does not answer: {said}"
            raise NoAnswer(self.problem) from None
        except Exception as problem:  # a credential that cannot be read
            self.problem = f"{self.name}: {str(problem).strip()}"
            raise NoAnswer(self.problem) from None
        return self._judged(status, body)

    async def _sent(self, method: str, path: str, given: Mapping[str, str]) -> tuple[int, Any]:
        http = self._opened()
        url, form = f"{self.settings.url}{path}", dict(given) or None
        request = http.stream(method, url, data=form, timeout=self.settings.timeout)
        async with request as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MOST:
                    raise ValueError(f"its answer is larger than {MOST >> 20} MB")
            kind = response.headers.get("content-type", "")
            if "json" not in kind:
                return response.status_code, None
            return response.status_code, json.loads(bytes(body))

    def _judged(self, status: int, body: Any) -> tuple[Any, list[str]]:
        told: dict[str, Any] = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if told.get("status") == "success":
            self.problem = None
            return told["data"], [str(one) for one in told.get("warnings") or ()]
        said = " ".join(str(told.get("error") or "").split())
        if told.get("errorType") in ("bad_data", "execution"):
            self.problem = None
            raise RefusedQuery(said or f"answered {status}")
        if status in (401, 403):
            said = f"it does not let us in ({status}): set `token`, or `username` and `password`, of the source"
        self.problem = f"{self.name} ({self.settings.url}) answered {status}" + (f": {said}" if said else "")
        raise NoAnswer(self.problem)

    def _opened(self) -> httpx.AsyncClient:
        """Raises ConfigurationError where a credential cannot be read."""
        if self._http is None:
            said = self.settings
            headers = {name: secret(v) if v.startswith(REFERENCE) else v for name, v in said.headers.items()}
            if said.token:
                headers["Authorization"] = f"Bearer {secret(said.token)}"
            self._http = client(headers=headers)
            if said.username and said.password:
                self._http.auth = httpx.BasicAuth(said.username, secret(said.password))
        return self._http


def _said(problem: BaseException) -> str:
    if isinstance(problem, httpx.ConnectError | ConnectionRefusedError):
        return f"nothing accepts connections there ({' '.join(str(problem).split())})"
    return " ".join(str(problem).split()) or type(problem).__name__
