"""One GET, and what its answer says: status, time, whether it is as expected, and how long the certificate lasts."""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import httpx

from watchkeeper.settings.expect import Expect

MOST = 1 << 18
"""Bytes of an answer that are read; a health document is small."""
Failure = Literal["", "refused", "silent", "lost", "certificate", "name", "said"]
"""`refused` nothing listens · `silent` no answer in time · `lost` the connection broke · `certificate` is not valid ·
`name` leads nowhere · `said` anything else."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request. `status` is 0 where nothing answered; then `failure` says why and `said` in words."""

    url: str
    status: int
    seconds: float
    text: str = ""
    headers: Mapping[str, str] | None = None
    failure: Failure = ""
    said: str = ""
    certificate_days: float | None = None

    @property
    def answered(self) -> bool:
        return self.status > 0

    @property
    def document(self) -> Any:
        """The JSON it holds, or None."""
        try:
            return json.loads(self.text) if self.text.lstrip()[:1] in ("{", "[") else None
        except ValueError:
            return None


@cache
def _trust(verify: bool) -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes longer than most requests."""
    return httpx.create_ssl_context(verify=verify, trust_env=False)


def client(*, verify: bool = True, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """For requests to what is watched: no proxy of the environment, no redirects, connections kept."""
    return httpx.AsyncClient(
        verify=_trust(verify),
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": "watchkeeper", "Accept": "application/json, text/plain, */*", **(headers or {})},
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
    )


async def ask(http: httpx.AsyncClient, url: str, *, timeout: float, method: str = "GET") -> Answer:
    """Never raises for what may happen to a request. `timeout` in seconds, over all."""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(timeout), http.stream(method, url, timeout=timeout) as response:
            days = _certificate_days(response)
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) >= MOST:
                    break
            text = bytes(body[:MOST]).decode(errors="replace")
            took = time.perf_counter() - begun
            return Answer(url, response.status_code, took, text, dict(response.headers), certificate_days=days)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError) as problem:  # TimeoutError is an OSError
        failure, said = _why(problem, timeout)
        return Answer(url, 0, time.perf_counter() - begun, failure=failure, said=said)


def unmet(answer: Answer, expect: Expect) -> str:
    """What is not as expected, in words; empty where all of it is."""
    if not answer.answered:
        return answer.said
    wanted = expect.status
    if (wanted and answer.status not in wanted) or (not wanted and not 200 <= answer.status < 400):
        return f"answered {answer.status}" + (f", wanted {' or '.join(map(str, wanted))}" if wanted else "")
    if expect.contains is not None and expect.contains not in answer.text:
        return f"the answer does not contain {expect.contains!r}"
    if expect.json_ is not None and (said := _differs(answer.document, expect.json_)):
        return said
    if expect.within is not None and answer.seconds > expect.within:
        return f"answered within {answer.seconds * 1000:.0f} ms, wanted {expect.within * 1000:.0f} ms"
    return ""


def _differs(document: Any, wanted: Mapping[str, Any]) -> str:
    if document is None:
        return "the answer is no JSON"
    for path, value in wanted.items():
        here: Any = document
        for name in path.split("."):
            if not isinstance(here, dict) or name not in here:
                return f"the JSON has no {path}"
            here = cast("dict[str, Any]", here)[name]
        if here != value and str(here) != str(value):
            return f"{path} is {str(here)[:80]!r}, wanted {value!r}"
    return ""


def _certificate_days(response: httpx.Response) -> float | None:
    stream: Any = response.extensions.get("network_stream")
    secured: Any = stream.get_extra_info("ssl_object") if stream is not None else None
    shown: dict[str, Any] = (secured.getpeercert() or {}) if secured is not None else {}
    if "notAfter" not in shown:
        return None
    return (ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()) / 86400


def _why(problem: BaseException, timeout: float) -> tuple[Failure, str]:
    text = " ".join(str(problem).split())
    if isinstance(problem, TimeoutError | httpx.TimeoutException):
        return "silent", f"no answer within {timeout:g} s"
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return "certificate", f"its certificate is not valid: {text.rpartition('failed: ')[2].partition(' (_ssl')[0]}"
    if "Name or service not known" in text or "nodename" in text or "name resolution" in text:
        return "name", "its name leads nowhere"
    if isinstance(problem, httpx.ConnectError | ConnectionRefusedError):
        return "refused", f"nothing accepts connections: {text or type(problem).__name__}"
    if isinstance(problem, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError | ConnectionError):
        return "lost", f"the connection broke: {text or type(problem).__name__}"
    return "said", text or type(problem).__name__
