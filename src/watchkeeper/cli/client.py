"""The server's API, as commands use it."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from watchkeeper.domain.errors import WatchkeeperError

ANSWER_SECONDS = 30.0
"""A fix is triggered from a fresh look, which may wait for a resource that hangs."""
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 45.0
"""The stream shows a sign of life every 15 s."""


class Unreachable(WatchkeeperError):
    """No server answers."""


class Answered(WatchkeeperError):
    """The server answered with a problem; `status` is its."""

    def __init__(self, status: int, detail: str, next_step: str) -> None:
        super().__init__(detail, next_step)
        self.status = status


class Client(AbstractContextManager["Client"]):
    """Use as a context manager. Each call gives JSON as it came; raises WatchkeeperError."""

    def __init__(
        self,
        url: str,
        token: str = "",
        token_file: Path | None = None,
        trusted: SSLContext | None = None,
        data: Path | None = None,
    ) -> None:
        """`data`: the directory of the server that is meant, which may tell why it does not answer."""
        self.url = url
        self._data = data
        self.token = token
        self._token_file = token_file
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise WatchkeeperError(f"{url!r} is no URL of a server.", "For example: --url http://127.0.0.1:8000")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        try:
            verify = trusted or url.startswith("https")
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False, verify=verify)
        except httpx.InvalidURL:
            raise WatchkeeperError(
                f"{url} is not the address of a server.", "For example: --url http://127.0.0.1:8000"
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._call(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        ).json()

    def text(self, path: str, **query: Any) -> str:
        return self._call("GET", path, params=query).text

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, json={} if body is None else body).json()

    def put(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        return self._call("PUT", path, json=body, headers=headers).json()

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path).json()

    def newest(self) -> int:
        """The number of the last event: follow from there, and nothing that comes after is missed."""
        items: list[dict[str, Any]] = self.get("/api/events", limit=1)["items"]
        return int(items[-1]["seq"]) if items else 0

    def newest_line(self) -> int:
        """The number of the last log line kept of anything."""
        items: list[dict[str, Any]] = self.get("/api/logs", limit=1)["items"]
        return int(items[0]["seq"]) if items else 0

    def events(self, after: int, silence: float = SILENCE_SECONDS) -> Iterator[dict[str, Any] | None]:
        """Events as they come; None as a sign of life when nothing happens. Ends when the server does, or where nothing
        comes for so many seconds."""
        return self._follow("/api/events", silence, after=after)

    def lines(self, after: int, **query: Any) -> Iterator[dict[str, Any] | None]:
        """The same of log lines."""
        return self._follow("/api/logs", SILENCE_SECONDS, after=after, **query)

    def stream(self, path: str, body: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of one answer, by name, as they come. To stop listening ends what is asked."""
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
        try:
            with self._http.stream("POST", path, json=body, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    raise self._told(answer)
                kind = ""
                for line in answer.iter_lines():
                    if line.startswith("event:"):
                        kind = line[6:].strip()
                    elif line.startswith("data:"):
                        yield kind, cast("dict[str, Any]", json.loads(line[5:]))
        except httpx.ConnectError:
            raise self._unreachable() from None
        except httpx.TransportError:
            return

    def _follow(self, path: str, silence: float, **query: Any) -> Iterator[dict[str, Any] | None]:
        query = {name: value for name, value in query.items() if value is not None}
        headers = {"Accept": "text/event-stream"}
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=silence)
        try:
            with self._http.stream("GET", path, params=query, headers=headers, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer)
                for line in answer.iter_lines():
                    if line.startswith("data:"):
                        yield cast("dict[str, Any]", json.loads(line[5:]))
                    elif line.startswith(":"):
                        yield None
        except httpx.ConnectError:
            raise self._unreachable() from None
        except httpx.TransportError:
            return

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol):
            raise self._unreachable() from None
        except httpx.TimeoutException:
            raise Unreachable(
                f"{self.url} did not answer within {ANSWER_SECONDS:g} s.", "Its log may say why."
            ) from None
        except httpx.TransportError as problem:
            raise Unreachable(f"{self.url} broke off: {problem}.", "`watchkeeper up` starts it again.") from None
        if answer.is_error:
            raise self._told(answer)
        return answer

    def _told(self, answer: httpx.Response) -> Answered:
        """The problem it answered with; what to do about the token in words of the command line."""
        problem = _problem(answer)
        if answer.status_code != 401 or self._token_file is None:
            return problem
        what = problem.what if self.token else "Without the operator's token one may only look."
        whose = "Run it as the user that runs `watchkeeper up`, or name the directory of its data: --data DIR."
        read = "The token was read from" if self.token else "No token can be read from"
        return Answered(401, what, "\n".join((f"{read} {self._token_file}. {whose}", *self._own_problems())))

    def _own_problems(self) -> list[str]:
        """What keeps the server from its work: with its state gone there is no token, and nothing to pause."""
        try:
            return list(self._http.get("/readyz").json()["problems"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _unreachable(self) -> Unreachable:
        from watchkeeper.cli.whereabouts import whereabouts

        known = whereabouts(self._data) if self._data is not None else ""
        advice = "`watchkeeper up` starts it; --url names another one."
        return Unreachable(f"No server runs at {self.url}.", f"{known}\n{advice}" if known else advice)


def _problem(answer: httpx.Response) -> Answered:
    try:
        said: Any = answer.json()
        detail, following = str(said["detail"]), str(said.get("next") or "")
        if answer.status_code == 422:  # in words of the API: where in the body, and where the API is described
            detail = "; ".join(part.removeprefix("body.") for part in detail.split("; "))
            following = "" if following == "/docs" else following
        return Answered(answer.status_code, detail, following)
    except (ValueError, KeyError, TypeError):
        return Answered(
            answer.status_code,
            f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}, which is no answer of ours.",
            "Is a watchkeeper listening there? --url names another address.",
        )
