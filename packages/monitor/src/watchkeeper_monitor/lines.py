"""Lines of the log: one for each prediction that is sampled, one for each error; JSON, whatever they are made of."""

import json
import math
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from watchkeeper_monitor.capture import Texts, redacted
from watchkeeper_monitor.context import Ids

if TYPE_CHECKING:
    from watchkeeper_monitor.folding import Row

LONGEST_NAME, LONGEST_MESSAGE, LONGEST_STACK, LONGEST_TEXT = 120, 2_000, 8_000, 2_000
"""Characters that are kept of names, of an error's message, of its stack (the end), of an input."""
FRAMES = 30


class Source(NamedTuple):
    """What all lines of one monitor share."""

    model: str
    version: str
    texts: Texts
    put: "Callable[[Line], None]"


class Line:
    """What one line is made of. Made on the path of the request; turned into text by whoever writes it."""

    __slots__ = ("_fields", "_text", "at", "ids", "kind", "raw", "seconds", "source")

    def __init__(
        self, source: Source, kind: Literal["prediction", "error"], at: float, ids: Ids | None, raw: Any
    ) -> None:
        self.source = source
        self.kind: Literal["prediction", "error"] = kind
        self.at = at
        """Seconds since 1970."""
        self.ids = ids
        self.raw = raw
        self.seconds: float | None = None
        """Latency, where the prediction did not say it."""
        self._fields: dict[str, Any] | None = None
        self._text: str | None = None

    def put(self) -> None:
        self.source.put(self)

    @property
    def level(self) -> str:
        return "error" if self.kind == "error" else "info"

    def fields(self) -> dict[str, Any]:
        """As JSON has them. Never raises."""
        if self._fields is None:
            request, trace, span = self.ids or (None, None, None)
            made: dict[str, Any] = {
                "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "level": self.level,
                "event": self.kind,
                "model": clean(self.source.model, LONGEST_NAME),
                "version": clean(self.source.version, LONGEST_NAME),
                "request_id": None if request is None else clean(request, LONGEST_NAME),
                "trace_id": trace,
                "span_id": span,
            }
            self._fields = made | (self._error() if self.kind == "error" else self._prediction())
        return self._fields

    def text(self) -> str:
        """One line of JSON, without its end."""
        if self._text is None:
            self._text = json.dumps(self.fields(), allow_nan=False, separators=(",", ":"))
        return self._text

    def _prediction(self) -> dict[str, Any]:
        prediction, confidence, latency, length, own_id, text = self.raw
        seconds = _number(self.seconds if latency is None else latency)
        made: dict[str, Any] = {
            "id": None if own_id is None else _named(own_id),
            "prediction": _number(prediction) if _floats(prediction) else _named(prediction),
            "confidence": _number(confidence),
            "latency_ms": None if seconds is None else _number(round(seconds * 1000, 3)),
            "input_length": _whole(length),
        }
        if self.source.texts is not False:
            made["input"] = _text(text, self.source.texts)
        return made

    def _error(self) -> dict[str, Any]:
        name, trace = self.raw
        message = stack = None
        if trace is not None:
            try:
                stack = redacted(clean("".join(trace.format()), LONGEST_STACK, end=True))
                message = redacted(clean(str(trace), LONGEST_MESSAGE))
            except Exception as problem:  # a source file that cannot be read, a message that is none
                stack = stack or f"(its stack could not be formatted: {type(problem).__name__})"
        return {"error_type": _named(name), "error_message": message, "stack": stack}


def of_row(source: Source, at: float, ids: Ids | None, row: "Row") -> Line:
    """Holds nothing of the row that is not written."""
    _, prediction, confidence, latency, length, extra = row
    if isinstance(prediction, str) and len(prediction) > LONGEST_NAME:
        prediction = prediction[:LONGEST_NAME]
    text = own_id = None
    if extra is not None:
        own_id = extra[6]
        if source.texts is not False and isinstance(extra[2], str):
            text = extra[2][:LONGEST_TEXT]
    return Line(source, "prediction", at, ids, (prediction, confidence, latency, length, own_id, text))


def of_error(source: Source, at: float, ids: Ids | None, problem: BaseException | str) -> Line:
    """Keeps the stack without its frames: they would hold the input, and all else there was."""
    if isinstance(problem, str):
        return Line(source, "error", at, ids, (problem[:LONGEST_NAME], None))
    trace = None
    with suppress(Exception):  # its own parts may raise
        trace = traceback.TracebackException(
            type(problem), problem, problem.__traceback__, limit=-FRAMES, lookup_lines=False, compact=True
        )
    return Line(source, "error", at, ids, (type(problem).__name__, trace))


def clean(text: str, most: int, *, end: bool = False) -> str:
    """At most so many characters, without halves of surrogate pairs: these are no Unicode."""
    if len(text) > most:
        text = f"…{text[1 - most :]}" if end else f"{text[: most - 1]}…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _named(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return clean(str(value), LONGEST_NAME)
    except Exception as problem:  # a value whose own methods raise
        return f"({type(problem).__name__})"


def _floats(value: Any) -> bool:
    """Whether it is a predicted number; else a class."""
    try:
        return isinstance(value, float) or getattr(getattr(value, "dtype", None), "kind", "") == "f"
    except Exception:
        return False


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except Exception:
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None or abs(number) > 2**53 else int(number)


def _text(text: str | None, texts: Texts) -> str | None:
    if text is None:
        return None
    try:
        return clean(texts(text) if callable(texts) else redacted(text), LONGEST_TEXT)
    except Exception:  # the caller's own function: rather no text than one that was not redacted
        return None
