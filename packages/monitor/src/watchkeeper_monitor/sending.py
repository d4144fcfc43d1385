"""One push over HTTP, by the standard library: what came of it, never an exception."""

import json
import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote, urlsplit

from watchkeeper_monitor.living import LOADING

if TYPE_CHECKING:
    import ssl

    from watchkeeper_monitor.spool import Item

SECONDS = 5.0
"""For which an answer is waited for."""
LONGEST_ANSWER = 1 << 16
FORMS = {"json": "application/json", "arrow": "application/vnd.apache.arrow.stream"}
LATER = (401, 403, 404, 408, 425, 429)
"""Answers below 500 that say nothing about the push itself: the token may be mended, the server upgraded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`taken` (also when it had been taken before), `refused` for good, or `away`: to be tried again."""

    outcome: Literal["taken", "refused", "away"]
    said: str = ""
    """Why, in the server's words or the system's."""
    content: dict[str, Any] = field(default_factory=dict[str, Any])


def checked(url: str, name: str) -> str:
    """The address without a slash at its end. Raises ValueError for what is none, and for names that fit in none."""
    parts = urlsplit(url)
    try:
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise ValueError(f"{url!r} is not the address of a Watchkeeper server: write http://HOST:PORT")
    if not name or "/" in name or not name.isprintable() or len(name) > 120 or name in (".", ".."):
        raise ValueError(f"{name!r} cannot be sent to a server: a name has 1 to 120 printable characters and no slash")
    return url.rstrip("/")


def send(server: str, token: str | None, model: str, item: "Item", seconds: float = SECONDS) -> Answer:
    """POST it. `seconds`: how long an answer may take."""
    with LOADING:
        import http.client

    parts = urlsplit(server)
    try:
        body = item.read()
    except OSError as problem:
        return Answer("refused", f"what was spooled cannot be read: {problem}")
    headers = {
        "Content-Type": FORMS[item.form],
        "Watchkeeper-Process": item.process,
        "Watchkeeper-Sequence": str(item.sequence),
        "Watchkeeper-Sent-At": f"{time.time():.3f}",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    where, waits = (parts.hostname or "", parts.port), max(0.05, seconds)
    try:
        if parts.scheme == "https":
            said = os.environ.get("WATCHKEEPER_CA", "")
            trust = _trust(said, os.stat(said).st_mtime_ns if said else 0)
            connection = http.client.HTTPSConnection(*where, timeout=waits, context=trust)
        else:
            connection = http.client.HTTPConnection(*where, timeout=waits)
    except (OSError, ValueError) as problem:
        return Answer("away", f"WATCHKEEPER_CA cannot be used: {problem}")
    try:
        connection.request("POST", f"{parts.path}/api/models/{quote(model, safe='')}/{item.kind}", body, headers)
        answer = connection.getresponse()
        content = answer.read(LONGEST_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return Answer("away", f"{type(problem).__name__}: {problem}")
    finally:
        connection.close()
    return _answer(answer.status, content)


@lru_cache(maxsize=4)
def _trust(authorities: str, written: int) -> "ssl.SSLContext":
    """Which server is believed: what the usual authorities sign, and those in this file (PEM), where one is named; read
    anew when it was written again. Raises OSError, ValueError."""
    with LOADING:
        import ssl

    made = ssl.create_default_context()
    if authorities:
        made.load_verify_locations(authorities)
    return made


def _answer(status: int, content: bytes) -> Answer:
    try:
        said: Any = json.loads(content)
    except ValueError:
        said = {}
    told = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    if 200 <= status < 300:
        return Answer("taken", "", told)
    why = f"{status}: {told.get('detail', 'no answer of a Watchkeeper server')}"
    final = 400 <= status < 500 and status not in LATER
    return Answer("refused" if final or status == 501 else "away", why, told)
