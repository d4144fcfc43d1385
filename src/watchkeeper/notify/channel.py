"""The seam: what a way of telling people must be able to do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

from watchkeeper.domain.notification import Answer, Message

SECONDS = 10.0
"""How long a receiver may take to answer."""
LONGEST_AFTER = 900.0
"""Seconds: a receiver that wants longer to be left alone is asked again all the same."""


class Channel(Protocol):
    """One way of telling people. It keeps nothing: what it must know of an incident is handed to it as `thread`."""

    name: str
    kind: str
    hears: frozenset[str]
    """The kinds of events it can tell of."""
    collapses: bool
    """What is old is not summed up in one message, but told as how each incident stands."""

    @property
    def where(self) -> str:
        """Who or what is told, for a person; no secret in it."""
        ...

    async def send(self, message: Message, thread: Mapping[str, str] | None = None) -> Answer:
        """Tell of it once. Never raises for what a receiver says or does not say."""
        ...

    async def test(self, message: Message) -> Answer:
        """Send what can be seen to arrive, and changes nothing there."""
        ...

    async def check(self) -> Answer:
        """Whether the receiver answers, without telling it anything; `said` is how far that was tried."""
        ...


async def request(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> httpx.Response | Answer:
    """What was answered, or that nobody did."""
    try:
        return await client.request(method, url, timeout=SECONDS, **more)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Answer("later", "what is configured is no URL", answered=False)  # it waits until that is mended
    except httpx.HTTPError as problem:  # its text may hold the URL, which is a secret
        return Answer("later", _in_words(problem), answered=False)


def judged(answer: httpx.Response) -> Answer:
    """By the status: 2xx delivered; 408, 429 and 5xx later; else refused."""
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.is_success:
        return Answer("delivered", said)
    if answer.status_code in (408, 429) or answer.is_server_error:
        return Answer("later", said, after=retry_after(answer.headers.get("retry-after", "")))
    return Answer("refused", said)


def retry_after(text: str) -> float | None:
    """Seconds, from `120` or a date (RFC 9110, 10.2.3).

    >>> retry_after("120"), retry_after("soon"), retry_after("86400")
    (120.0, None, 900.0)
    """
    text = text.strip()
    if text.isdigit():
        return min(LONGEST_AFTER, float(text))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(LONGEST_AFTER, max(0.0, (at - datetime.now(UTC)).total_seconds()))


async def reached(client: httpx.AsyncClient, url: str) -> Answer:
    """Whether anything speaks HTTP there: it is asked for nothing (HEAD), and any answer will do."""
    answer = await request(client, "HEAD", url)
    if isinstance(answer, Answer):
        return Answer("refused", answer.said, answered=False)
    return Answer("delivered", f"{answer.url.host} answers")


def short(text: str, most: int) -> str:
    """At most so many characters, with a sign that something is left out."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _in_words(problem: httpx.HTTPError) -> str:
    if isinstance(problem, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return f"no answer within {SECONDS:g} s"
    if isinstance(problem, httpx.ConnectError):
        return "nobody can be reached there" + _certificate(problem)
    return type(problem).__name__


def _certificate(problem: httpx.ConnectError) -> str:
    return ": its certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in str(problem) else ""
