"""Single predictions and labels on their way to a server: a share of them, in bounded memory, without their texts."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from zlib import crc32

from watchkeeper_monitor.counts import Counts, bounded
from watchkeeper_monitor.living import LOADING
from watchkeeper_monitor.ranking import is_ranking, items, written

if TYPE_CHECKING:
    from watchkeeper_monitor.folding import Row

MOST = 20_000
"""Records, and as many labels, that wait between two pushes; more are dropped and counted."""
AT_ONCE, CHARACTERS = 5_000, 1_000_000
"""Rows of one push, and characters of text and features in it."""
LONGEST_ID, LONGEST_TEXT = 200, 10_000
_LONG = ("text", "features", "ranking", "label")
_LATER = ("ranking",)
"""Columns that older servers do not know: sent only where there is something in them."""
_PRIVATE = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[email]"),
    (re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b"), "[iban]"),
    (re.compile(r"\b\d(?:[ .:/-]?\d){4,}\b"), "[number]"),
)
Texts = bool | Callable[[str], str]


def redacted(text: str) -> str:
    """Without addresses of mail, accounts, and numbers of five digits or more.

    >>> redacted("I am ada@example.org, card 4111 1111 1111 1111")
    'I am [email], card [number]'
    """
    for pattern, word in _PRIVATE:
        text = pattern.sub(word, text)
    return text


class Capture:
    """Not thread-safe: the monitor holds its lock around every call.

    `share`: of the predictions whose records are sent, 0 to 1, decided by their ids: the same in every process.
    `texts`: whether their texts are sent, redacted, or what redacts them.
    """

    def __init__(self, process: str, version: str, share: float, texts: Texts) -> None:
        self._process = process
        self._version = version
        self._most = round(share * 2**32)
        self._texts = texts
        self._records: list[dict[str, Any]] = []
        self._labels: list[dict[str, Any]] = []
        self.dropped = 0

    def id_of(self, subject: int | str) -> str:
        """What a record is known by: the caller's own id, else the process and the handle."""
        return f"{self._process}-{subject}" if isinstance(subject, int) else subject[:LONGEST_ID]

    def wanted(self, name: str) -> bool:
        return crc32(name.encode("utf-8", "replace")) < self._most

    def rows(self, rows: Iterable["Row"], at: float, rejects: Counts) -> None:
        if not self._most:
            return
        for row in rows:
            try:
                self._row(row, at)
            except Exception as problem:  # a value whose own methods raise: the others must not be lost with it
                rejects.add(f"record: {type(problem).__name__}")

    def _row(self, row: "Row", at: float) -> None:
        handle, prediction, confidence, latency, length, extra = row
        escalated, cost, text, true_label, segment, features, own_id = extra or (None,) * 7
        name = self.id_of(handle if own_id is None else str(own_id))
        if not self.wanted(name):
            return
        number = isinstance(prediction, float)
        ranked = is_ranking(prediction)
        self._add(
            self._records,
            {
                "id": name,
                "at": at,
                "version": self._version,
                "prediction": None if number or ranked or prediction is None else bounded(str(prediction)),
                "value": _finite(prediction) if number else None,
                "ranking": json.dumps(items(prediction), ensure_ascii=False) if ranked else None,
                "confidence": _finite(confidence, 0, 1),
                "latency_seconds": _finite(latency, 0),
                "input_length": _whole(length),
                "segment": None if segment is None else bounded(str(segment)),
                "escalated": None if escalated is None else bool(escalated),
                "cost": _finite(cost),
                "text": self._text(text),
                "features": _features(features),
            },
        )
        if true_label is not None:
            self._label(name, true_label, at)

    def label(self, subject: int | str, truth: Any, at: float, *, met: bool) -> None:
        """`met`: it was counted here. Then it is sent only where its record is, too.

        Raises ValueError where it is a ranking's, and says no gains.
        """
        name = self.id_of(subject)
        if self.wanted(name) or (not self._most and not met and isinstance(subject, str)):
            self._label(name, truth, at)

    def _label(self, name: str, truth: Any, at: float) -> None:
        self._add(self._labels, {"id": name, "label": written(truth), "at": at})

    def _add(self, rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
        if len(rows) < MOST:
            rows.append(row)
        else:
            self.dropped += 1

    def _text(self, text: Any) -> str | None:
        if text is None or self._texts is False:
            return None
        redact = redacted if self._texts is True else self._texts
        try:
            return redact(str(text)[:LONGEST_TEXT])[:LONGEST_TEXT]
        except Exception:  # the caller's own function: rather no text than one that was not redacted
            return None

    def cut(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """What waited, in pieces for one push each: records before their labels."""
        records, labels = self._records, self._labels
        self._records, self._labels = [], []
        return [("records", piece) for piece in _pieces(records)] + [("labels", piece) for piece in _pieces(labels)]


def _pieces(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        more = sum(len(row.get(name) or "") for name in _LONG)
        if piece and (len(piece) >= AT_ONCE or size + more > CHARACTERS):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += more
    if piece:
        yield piece


def encoded(rows: Sequence[Mapping[str, Any]]) -> tuple[str, bytes]:
    """As Arrow where PyArrow is installed, else as JSON: the form, and the bytes."""
    if empty := [name for name in _LATER if all(row.get(name) is None for row in rows)]:
        rows = [{name: value for name, value in row.items() if name not in empty} for row in rows]
    if find_spec("pyarrow") is not None:
        try:
            return "arrow", _arrow(rows)
        except Exception:  # whatever it does not take, JSON does
            pass
    return "json", json.dumps(rows, allow_nan=False).encode()


def _arrow(rows: Sequence[Mapping[str, Any]]) -> bytes:
    from importlib import import_module

    with LOADING:
        pa: Any = import_module("pyarrow")
    table = pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _finite(value: Any, low: float = -math.inf, high: float = math.inf) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def _whole(value: Any) -> int | None:
    number = _finite(value, 0, 2**53)
    return None if number is None else int(number)


def _features(features: Any) -> str | None:
    if not isinstance(features, Mapping):
        return None
    try:
        made = json.dumps(features, default=str, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return None
    return made if len(made) <= LONGEST_TEXT else None
