"""The statement that costs most because it reads a large table from end to end, and the index that would spare it.

Which statements cost what is told by `pg_stat_statements`, where it is installed. Which column is asked for is read
from the statement itself, parsed; only a plain comparison in its WHERE with a column of that one table counts. Whether
the planner would take the index nobody knows before it is there: so it is advice, with the statement, and never done.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from watchkeeper.connectors.postgres.figures import normalised
from watchkeeper.connectors.postgres.session import PostgresSession, Row
from watchkeeper.connectors.postgres.trouble import Trouble

EVERY = 30.0
"""Seconds between looks: the counters of all statements are read each time."""
_LARGE_ROWS = 50_000
"""Reading fewer rows than that from end to end takes a few milliseconds."""
_ASKED, _TABLES = 100, 20
_NOTHING: Row = {"calls": 0.0, "seconds": 0.0, "scans": 0.0, "rows_read": 0.0}
_PARSE_SECONDS = 0.4
_MOST = 20
"""Statements that are parsed."""
_SHARE = 0.1
"""Of the table's rows, read by each of its scans, else a LIMIT had ended them; each parallel worker counts as one."""
_EXTENSION = """
SELECT format('%I.pg_stat_statements', n.nspname) AS name
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'
"""
_STATEMENTS = """
SELECT s.queryid::text AS id, sum(s.calls)::float8 AS calls, sum(s.total_exec_time)::float8 / 1000 AS seconds,
  min(s.query) AS query
FROM {name} s WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.query ~* '^\\s*(select|with|update|delete)\\M' AND s.mean_exec_time > 5
GROUP BY 1 ORDER BY 3 DESC LIMIT %(most)s
"""
_SCANNED = """
SELECT s.relid::text AS id,
  format('%%I.%%I', s.schemaname, s.relname) AS name, s.relname AS table, s.seq_scan::float8 AS scans,
  s.seq_tup_read::float8 AS rows_read, greatest(c.reltuples, s.n_live_tup)::float8 AS rows,
  pg_relation_size(s.relid)::float8 AS bytes
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE greatest(c.reltuples, s.n_live_tup) >= %(rows)s AND s.seq_scan > 0 ORDER BY s.seq_tup_read DESC LIMIT %(most)s
"""
_COLUMNS = """
SELECT a.attname AS name, quote_ident(a.attname) AS quoted,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid AND i.indkey[0] = a.attnum
          AND i.indpred IS NULL) AS indexed
FROM pg_attribute a WHERE a.attrelid = %(id)s::oid AND a.attnum > 0 AND NOT a.attisdropped
"""
CARRIED = ("statements_told", "slow_scan_share", "slow_scan_mean_seconds", "slow_scan_table_bytes")
CARRIED_FACTS = ("slow_scan_table", "slow_scan_query", "slow_scan_advice")


@dataclass
class Statements:
    """What was counted the last time: what came since is the difference."""

    at: float = 0.0
    statements: dict[str, Row] = field(default_factory=dict[str, Row])
    tables: dict[str, Row] = field(default_factory=dict[str, Row])


async def look_at_statements(session: PostgresSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Which statement reads a large table from end to end, again and again, since the last time. Leaves everything out
    where nothing counts statements. Raises Trouble."""
    for name in (*CARRIED, *CARRIED_FACTS):
        metrics.pop(name, None)
        facts.pop(name, None)
    installed = await session.query(_EXTENSION)
    metrics["statements_told"] = float(bool(installed))
    if not installed:
        return
    try:
        statements = await session.query(_STATEMENTS.format(name=installed[0]["name"]), {"most": _ASKED})
    except Trouble as problem:
        if problem.category == "silent":
            raise
        metrics["statements_told"] = 0.0  # not preloaded, or not ours to read
        return
    tables = await session.query(_SCANNED, {"rows": _LARGE_ROWS, "most": _TABLES})
    at, before = asyncio.get_running_loop().time(), session.statements
    metrics |= {"slow_scan_share": 0.0, "slow_scan_mean_seconds": 0.0, "slow_scan_table_bytes": 0.0}
    if before is not None and at - before.at < 1.0:
        return
    session.statements = Statements(at, {r["id"]: r for r in statements}, {r["id"]: r for r in tables})
    if before is None:
        return
    # What was not among them the last time had counted nothing then, unless there were more than are asked for.
    new = len(before.tables) < _TABLES
    scanned = [row for row in tables if _from_end_to_end(row, before.tables.get(row["id"], _NOTHING if new else row))]
    new = len(before.statements) < _ASKED
    since = (_since(row, before.statements.get(row["id"], _NOTHING if new else row)) for row in statements)
    spent = sorted(since, key=lambda one: -one[1])
    ran = [one for one in spent if one[2] > 0][:_MOST] if scanned else []
    try:
        async with asyncio.timeout(_PARSE_SECONDS):  # loading the parser may take longer than a look may
            found = await asyncio.to_thread(_first_that_reads, ran, scanned)
    except TimeoutError:
        return
    if found is None:
        return
    (row, seconds, calls), table = found
    metrics |= {
        "slow_scan_share": seconds / (at - before.at),
        "slow_scan_mean_seconds": seconds / calls,
        "slow_scan_table_bytes": table["bytes"],
    }
    await _advise(session, row, table, seconds / calls, facts)


def _first_that_reads(
    ran: Sequence[tuple[Row, float, float]], scanned: Sequence[Row]
) -> tuple[tuple[Row, float, float], Row] | None:
    """Of the statements, the costliest first, the one that reads one of the tables; and which."""
    pairs = ((one, table) for one in ran for table in scanned)
    return next((pair for pair in pairs if mentions(str(pair[0][0]["query"]), str(pair[1]["table"]))), None)


def _since(row: Row, before: Row) -> tuple[Row, float, float]:
    """What it has taken, in seconds, and how often it ran since it was last counted."""
    if before["calls"] > row["calls"]:  # its counters were set back
        return row, 0.0, 0.0
    return row, row["seconds"] - before["seconds"], row["calls"] - before["calls"]


def _from_end_to_end(row: Row, before: Row) -> bool:
    scans, read = row["scans"] - before["scans"], row["rows_read"] - before["rows_read"]
    return scans > 0 and read / scans > _SHARE * row["rows"]


async def _advise(session: PostgresSession, row: Row, table: Row, mean: float, facts: dict[str, str]) -> None:
    """In words, with the statement where the column can be told."""
    name = str(table["name"])
    query = normalised(str(row["query"]), 400)
    facts |= {"slow_scan_table": name, "slow_scan_query": query}
    columns = {str(c["name"]): c for c in await session.query(_COLUMNS, {"id": table["id"]})}
    wanted = await asyncio.to_thread(compared, str(row["query"]), str(table["table"]), tuple(columns))
    said = f"{query} takes {mean * 1000:.0f} ms on average and {name} is read from end to end for it. "
    if not wanted:
        facts["slow_scan_advice"] = (
            said + "Which column an index would have to be on cannot be told from the statement."
        )
    elif any(columns[column]["indexed"] for column in wanted):
        known = " or ".join(column for column in wanted if columns[column]["indexed"])
        facts["slow_scan_advice"] = f"{said}An index begins with {known}: look at EXPLAIN for why it is not taken."
    else:
        what = ", ".join(str(columns[column]["quoted"]) for column in wanted)
        facts["slow_scan_advice"] = (
            f"{said}By its WHERE, this may spare it; try EXPLAIN before and after: "
            f"CREATE INDEX CONCURRENTLY ON {name} ({what});"
        )


def mentions(query: str, table: str) -> bool:
    """Whether a statement reads a table: that is one of its parsed tables."""
    parsed = _parsed(query)
    if parsed is None:
        return False
    from sqlglot import exp

    return any(found.name == table for found in parsed.find_all(exp.Table))


def compared(query: str, table: str, columns: Sequence[str]) -> list[str]:
    """The columns of a table that a statement compares with a value, in the outermost AND of a WHERE: first those that
    are compared for equality, two at most, and else the first that is compared at all. Empty where that cannot be told
    for certain: several tables and an unqualified column, functions around it, OR.

    >>> compared("SELECT * FROM orders WHERE customer = $1 AND total > $2", "orders", ("customer", "total"))
    ['customer']
    """
    parsed = _parsed(query)
    if parsed is None:
        return []
    from sqlglot import exp

    equal: dict[str, None] = {}
    ranged: dict[str, None] = {}
    for where in parsed.find_all(exp.Where):
        scope = where.parent
        if scope is None:
            continue
        kinds = (exp.Select, exp.Update, exp.Delete)
        tables = [one for one in scope.find_all(exp.Table) if one.find_ancestor(*kinds) is scope]
        names = {one.alias_or_name for one in tables if one.name == table}
        if not names:
            continue
        terms = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
        for term in terms:
            column = _column(term, names, alone=len(tables) == 1, columns=columns)
            if column:
                (equal if isinstance(term, exp.EQ | exp.In) else ranged)[column] = None
    return list(equal)[:2] or list(ranged)[:1]


def _column(term: Any, names: set[str], *, alone: bool, columns: Sequence[str]) -> str:
    """The column of the table that a comparison is about, compared with a value."""
    from sqlglot import exp

    if not isinstance(term, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between | exp.In):
        return ""
    sides = [term.this] if isinstance(term, exp.Between | exp.In) else [term.this, term.expression]
    values = [side for side in sides if not side.find(exp.Column)]
    found = [side for side in sides if isinstance(side, exp.Column)]
    if len(found) != 1 or len(values) != len(sides) - 1 or (isinstance(term, exp.In) and term.args.get("query")):
        return ""
    column = found[0]
    ours = column.table in names if column.table else alone
    return column.name if ours and column.name in columns else ""


def _parsed(query: str) -> Any:
    """The statement as a tree; None where it is not understood."""
    import sqlglot  # a tenth of a second and more: only where statements are counted
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(query, read="postgres")
    except SqlglotError:
        return None
