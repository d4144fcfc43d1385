"""Which request a prediction belongs to: its id and its trace, as OpenTelemetry, W3C traceparent or the caller says."""

import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchkeeper_monitor.lines import Line

MOST_LINES = 100
"""Lines of one request that wait for its latency."""
LONGEST_ID = 128
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
Ids = tuple[str | None, str | None, str | None]
"""Request, trace and span."""


class Request:
    """One request under way. Lines of its predictions wait until its latency is known."""

    __slots__ = ("ids", "lines", "open")

    def __init__(self, id: str | None = None, traceparent: str | None = None, *, waits: bool = False) -> None:
        trace, span = traced(traceparent)
        self.ids: Ids = (None if id is None else id[:LONGEST_ID], trace, span)
        self.open = waits
        self.lines: list[Line] = []

    def take(self, line: "Line") -> bool:
        """Whether it waits here."""
        if not self.open or len(self.lines) >= MOST_LINES:
            return False
        self.lines.append(line)
        return True

    def over(self, seconds: float | None) -> None:
        """The latency is known (None: it never will be): write what waited."""
        self.open = False
        lines, self.lines = self.lines, []
        for line in lines:
            line.seconds = seconds
            line.put()


CURRENT: ContextVar[Request | None] = ContextVar("watchkeeper_request", default=None)


@contextmanager
def request(id: str | None = None, traceparent: str | None = None) -> Generator[None]:
    """`with request(id=…, traceparent=…):` what is tracked inside is logged with these. A wrong one counts as none."""
    token = CURRENT.set(Request(id, traceparent))
    try:
        yield
    finally:
        CURRENT.reset(token)


def of_headers(headers: Any) -> Request:
    """Of the headers of an ASGI request: `x-request-id`, else an id of our own, and `traceparent`."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in (b"x-request-id", b"traceparent"):
            found.setdefault(name, value)
    said = found.get(b"x-request-id", b"").decode("latin-1").strip()
    own = said if said and said.isprintable() else os.urandom(8).hex()
    return Request(own, found.get(b"traceparent", b"").decode("latin-1"), waits=True)


def traced(traceparent: str | None) -> tuple[str | None, str | None]:
    """Trace and span of a W3C traceparent (Trace Context, Level 1, 3.2); of a wrong one none.

    >>> traced("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    ('0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331')
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if found is None or not found[1].strip("0") or not found[2].strip("0"):
        return None, None
    return found[1], found[2]


def ids(request: Request | None) -> Ids | None:
    """OpenTelemetry's span where it is loaded and one is current, else what came with the request."""
    otel = sys.modules.get("opentelemetry.trace")
    if otel is not None:
        try:
            span = otel.get_current_span().get_span_context()
            if span.is_valid:
                own = None if request is None else request.ids[0]
                return own, f"{span.trace_id:032x}", f"{span.span_id:016x}"
        except Exception:  # whatever it is, it is not ours to fail for
            pass
    return None if request is None else request.ids
