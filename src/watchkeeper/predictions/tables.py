"""Records and labels as tables: read from Arrow or JSON, checked row by row, as they are kept."""

import json
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from watchkeeper.predictions.arrow import Table, part
from watchkeeper.predictions.body import Refused
from watchkeeper_monitor.ranking import items

ROWS = 200_000
"""Rows in one push."""
LONGEST_ID, LONGEST_TEXT = 200, 10_000
"""Characters."""
ARROW, JSON = "application/vnd.apache.arrow.stream", "application/json"
SKEW = 10.0
"""Seconds; what lies below may be how long the push was under way."""
LARGEST_JSON = 4 << 20
"""Bytes: JSON takes many times its size in memory."""
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800
"""2000 and 2100, in seconds since 1970: what a record's time may lie between."""
NAMES = {"id": LONGEST_ID, "version": 120, "prediction": 250, "segment": 120, "label": 250, "ranking": 100_000}
"""Texts that are names, and rankings: a longer one is wrong, not cut."""
LONGEST_RELEVANCE = 200_000
"""A label that names several items, as JSON."""


def schema_of(kind: str) -> Any:
    """Of `records` or `labels`, as it is kept."""
    pa = part("")
    at = ("at", pa.timestamp("us", tz="UTC"))
    if kind == "labels":
        return pa.schema([("id", pa.string()), at, ("label", pa.string())])
    return pa.schema(
        [
            ("id", pa.string()),
            at,
            ("version", pa.string()),
            ("prediction", pa.string()),
            ("value", pa.float64()),
            ("ranking", pa.string()),
            ("confidence", pa.float64()),
            ("latency_seconds", pa.float64()),
            ("input_length", pa.int64()),
            ("segment", pa.string()),
            ("escalated", pa.bool_()),
            ("cost", pa.float64()),
            ("text", pa.string()),
            ("features", pa.string()),
        ]
    )


def read(kind: str, form: str, body: bytes, at: float, skew: float = 0.0) -> tuple[Table, Counter[str]]:
    """The rows that can be kept, and how many others there were, by reason. `at`: the time of rows that say none.

    `skew`: by how many seconds the clock is ahead that the other rows' times are from; from `SKEW` on they are set
    right. Raises Refused where none can, NotInstalled.
    """
    said = form.partition(";")[0].strip().lower()
    if said == ARROW:
        table = _of_arrow(body)
    elif said in (JSON, ""):
        table = _of_json(kind, body)
    else:
        raise Refused(f"{kind.capitalize()} come as {ARROW} or {JSON}, not as {said}.")
    if table.num_rows > ROWS:
        raise Refused(f"{table.num_rows} rows at once are too many: at most {ROWS}.")
    found, told = _checked(_cast(kind, table, at, skew if abs(skew) >= SKEW else 0.0))
    if table.num_rows and not found.num_rows:
        raise Refused(f"None of {table.num_rows} {kind} can be kept: {told.most_common(1)[0][0]}.")
    return found, told


def _of_arrow(body: bytes) -> Table:
    pa, ipc = part(""), part("ipc")
    try:
        for message in ipc.MessageReader.open_stream(pa.BufferReader(body)):
            if message.type == "record batch" and _compressed(message.metadata.to_pybytes()):
                raise Refused("Compressed batches are not taken: send them plain.")
        table = ipc.open_stream(pa.BufferReader(body)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, NotImplementedError, EOFError, struct.error) as problem:
        raise Refused(f"This is no stream of Arrow batches: {str(problem).splitlines()[0][:200]}.") from None
    for field in table.schema:
        if pa.types.is_dictionary(field.type) or pa.types.is_nested(field.type):
            raise Refused(f"The column {field.name[:60]!r} is {field.type}; send plain texts and numbers.")
    return table


def _compressed(metadata: bytes) -> bool:
    """Whether a record batch says that its buffers are compressed: how large they become is then anybody's guess.

    Read by hand from the flat buffer, for PyArrow does not tell: the message's `header` is its third field, and
    `compression` the fourth of a record batch (arrow.apache.org/docs/format/Columnar.html).
    """
    header = _field(metadata, struct.unpack_from("<I", metadata)[0], 2)
    if header is None:
        return False
    return _field(metadata, header + struct.unpack_from("<I", metadata, header)[0], 3) is not None


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Where a field of a table lies; None where it is left out."""
    (back,) = struct.unpack_from("<i", metadata, table)
    (size,) = struct.unpack_from("<H", metadata, table - back)
    if 4 + 2 * number + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", metadata, table - back + 4 + 2 * number)
    return table + offset if offset else None


def _of_json(kind: str, body: bytes) -> Table:
    pa = part("")
    if len(body) > LARGEST_JSON:
        raise Refused(f"As JSON at most {LARGEST_JSON} bytes are taken at once: send less, or Arrow.")
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(f"The body is not JSON: send a list of {kind}.") from None
    rows = cast("list[Any]", content) if isinstance(content, list) else []
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in rows):
        raise Refused(f"Send a list of {kind}, each a mapping.")
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    schema = schema_of(kind)
    made: dict[str, Any] = {}
    for name, values in columns.items():
        if name not in schema.names:
            raise _unknown(kind, name)
        try:
            made[name] = pa.array([_plain(schema.field(name).type, value) for value in values])
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as problem:
            raise _wrong(name, problem) from None
    return pa.table(made)


def _plain(kind: Any, value: Any) -> Any:
    """A label may be a number, and features a mapping."""
    if part("").types.is_string(kind) and value is not None and not isinstance(value, str):
        return json.dumps(value) if isinstance(value, Mapping | list) else str(value)
    if part("").types.is_floating(kind) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _cast(kind: str, table: Table, at: float, skew: float) -> Table:
    """With exactly the columns that are kept."""
    pa, schema = part(""), schema_of(kind)
    names: list[str] = table.schema.names
    if len(set(names)) != len(names):
        raise Refused("A column is there twice.")
    if unknown := next((name for name in names if name not in schema.names), None):
        raise _unknown(kind, unknown)
    if "id" not in names or (kind == "labels" and "label" not in names):
        raise Refused(f"{kind.capitalize()} have the column id{' and label' if kind == 'labels' else ''}.")
    made: list[Any] = []
    for field in schema:
        column = table[field.name] if field.name in names else pa.nulls(table.num_rows)
        try:
            made.append(_time(column, at, skew) if field.name == "at" else column.cast(field.type))
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as problem:
            raise _wrong(field.name, problem) from None
    return pa.table(made, schema=schema)


def _time(column: Any, at: float, skew: float) -> Any:
    """Times, texts in ISO 8601, or seconds since 1970; now where there is none."""
    pa, pc = part(""), part("compute")
    kind = pa.timestamp("us", tz="UTC")
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        column = column.cast(pa.float64())
        far = pc.or_(pc.invert(pc.is_finite(column)), pc.greater(pc.abs(column), 1e11))
        seconds = pc.if_else(pc.fill_null(far, False), 0.0, column)
        column = pc.cast(pc.round(pc.multiply(seconds, 1e6)), pa.int64())
    column = pc.subtract(column.cast(kind), pa.scalar(round(skew * 1e6), pa.duration("us")))
    return pc.fill_null(column, pa.scalar(round(at * 1e6), pa.int64()).cast(kind))


def _checked(table: Table) -> tuple[Table, Counter[str]]:
    pa, pc = part(""), part("compute")
    told: Counter[str] = Counter()
    good: Any = None

    def must(reason: str, holds: Any) -> None:
        nonlocal good
        holds = pc.fill_null(holds, True)
        if wrong := table.num_rows - (pc.sum(pc.cast(holds, pa.int64())).as_py() or 0):
            told[reason] += wrong
        good = holds if good is None else pc.and_(good, holds)

    names: list[str] = table.schema.names
    must("id: missing", pc.and_(pc.is_valid(table["id"]), pc.greater(pc.fill_null(pc.utf8_length(table["id"]), 0), 0)))
    if "label" in names:
        must("label: missing", pc.is_valid(table["label"]))
    elif table["ranking"].null_count < table.num_rows:
        must(
            "ranking: no JSON list of items",
            pa.array([ranked(each) is not None for each in table["ranking"].to_pylist()]),
        )
    for name in names:
        if most := NAMES.get(name):
            length = pc.utf8_length(table[name])
            short = pc.less_equal(length, most)
            if name == "label":
                several = pc.match_substring_regex(table[name], r"^[\[{]")
                short = pc.or_(short, pc.and_(several, pc.less_equal(length, LONGEST_RELEVANCE)))
            must(f"{name}: longer than {most}", short)
        elif pa.types.is_floating(table[name].type):
            must(f"{name}: not finite", pc.is_finite(table[name]))
    seconds = pc.cast(pc.cast(table["at"], pa.int64()), pa.float64(), safe=False)
    must(
        "at: not between 2000 and 2100", pc.and_(pc.greater(seconds, _EARLIEST * 1e6), pc.less(seconds, _LATEST * 1e6))
    )
    if "confidence" in names:
        must("confidence: outside 0..1", _between(table["confidence"], 0, 1))
        must("latency_seconds: below 0", pc.greater_equal(table["latency_seconds"], 0))
        must("input_length: below 0", pc.greater_equal(table["input_length"], 0))
        for name in ("text", "features"):
            cut = pc.utf8_slice_codeunits(table[name], 0, LONGEST_TEXT)
            table = table.set_column(names.index(name), name, cut)
    return (table.filter(good) if told else table), told


def ranked(said: str | None) -> tuple[str, ...] | None:
    """The items of a record's ranking, as a monitor counts them; none where there is none. None of what is no list."""
    if said is None:
        return ()
    try:
        given: Any = json.loads(said)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, list) or any(isinstance(each, list | dict) for each in cast("list[Any]", given)):
        return None
    return items(given)


def _between(column: Any, low: float, high: float) -> Any:
    pc = part("compute")
    return pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))


def _unknown(kind: str, name: str) -> Refused:
    return Refused(f"{name[:60]!r} is no column of {kind}.", f"There are: {', '.join(schema_of(kind).names)}.")


def _wrong(name: str, problem: Exception) -> Refused:
    return Refused(f"The column {name!r} cannot be read: {str(problem).splitlines()[0][:200]}.")
