"""What sessions and locks tell: who blocks whom, and which crowd holds the connections. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.connectors.speaking import NAME

PROTECTED = frozenset({NAME, "pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "pgbackrest", "wal-g", "barman"})
"""Applications that take long by nature: their sessions are never ended."""
_MAINTENANCE = re.compile(
    r"^\s*(vacuum|analyze|create\s+(unique\s+)?index|reindex|cluster|refresh|copy|alter|backup)\b", re.IGNORECASE
)
_LITERAL = re.compile(r"'(?:[^']|'')*'|\$\w*\$.*?\$\w*\$|(?<![\w$])\d+(?:\.\d+)?\b", re.DOTALL)


def normalised(query: str, length: int = 200) -> str:
    """A statement without its literals, which are the users' data; on one line, cut at `length` characters.

    >>> normalised("SELECT *\\n FROM t WHERE mail = 'a@b.c' AND id = 7")
    'SELECT * FROM t WHERE mail = ? AND id = ?'
    """
    text = " ".join(_LITERAL.sub("?", query).split())
    return text if len(text) <= length else f"{text[:length]}…"


def is_protected(session: Mapping[str, Any], also: Sequence[str] = ()) -> bool:
    """Whether a session must not be ended: dumps, backups, replication, maintenance, us, and the applications and users
    that were named (`also`)."""
    return (
        session["backend_type"] != "client backend"
        or session["application"] in PROTECTED
        or session["application"] in also
        or session["user"] in also
        or bool(_MAINTENANCE.match(session.get("query") or ""))
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The session at the head of the largest blocking tree: it waits for nobody, others wait for it."""

    session: Mapping[str, Any]
    blocked: int
    """How many wait for it, directly or not."""
    depth: int
    """The length of the longest chain behind it."""
    longest_seconds: float
    """How long the statement that waits longest has been running."""


def head_of(rows: Sequence[Mapping[str, Any]]) -> Head | None:
    """The head that most sessions wait for, from who waits for whom. A deadlock has none: the server ends it."""
    by_pid = {row["pid"]: row for row in rows}
    behind: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        for blocker in row["blockers"]:
            behind[blocker].add(row["pid"])
    heads: list[Head] = []
    for pid in behind:
        row = by_pid.get(pid)
        if row is None or row["blockers"]:
            continue
        levels = _levels(pid, behind)
        waiting = [by_pid[one]["query_seconds"] for level in levels for one in level if one in by_pid]
        heads.append(Head(row, sum(map(len, levels)), len(levels), max(waiting, default=0.0)))
    return max(heads, key=lambda head: (head.blocked, head.longest_seconds), default=None)


def _levels(head: int, behind: Mapping[int, set[int]]) -> list[set[int]]:
    seen, level, found = {head}, {head}, list[set[int]]()
    while level := {one for above in level for one in behind.get(above, set[int]())} - seen:
        seen |= level
        found.append(level)
    return found


@dataclass(frozen=True, slots=True)
class Crowd:
    """The largest group of sessions that do the same: one application and user, and, where they are at work, one
    statement. Of those that are idle it says nothing which one was their last."""

    application: str
    user: str
    address: str
    state: str
    query: str
    query_hash: str
    sessions: int
    median_seconds: float
    """How long they have been doing it."""

    @property
    def metrics(self) -> dict[str, float]:
        return {
            "crowd_sessions": float(self.sessions),
            "crowd_seconds": self.median_seconds,
            "crowd_active": float(self.state == "active"),
            "crowd_in_transaction": float(self.state.startswith("idle in transaction")),
        }


def crowd_of(rows: Iterable[Mapping[str, Any]], also: Sequence[str] = ()) -> Crowd | None:
    """Who holds most of the connections; protected sessions do not count."""
    groups: defaultdict[tuple[str, str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if not is_protected(row, also):
            state, runs = row["state"] or "", row["query_hash"] or ""
            groups[row["application"] or "", row["user"] or "", state, "" if state.startswith("idle") else runs].append(
                row
            )
    if not groups:
        return None
    (application, user, state, _), members = max(groups.items(), key=lambda entry: len(entry[1]))
    ages = sorted(row["query_seconds" if state == "active" else "state_seconds"] for row in members)
    first = members[0]
    return Crowd(
        application=application,
        user=user,
        address=first["address"] or "",
        state=state,
        query=normalised(first["query"] or ""),
        query_hash=first["query_hash"] or "",
        sessions=len(members),
        median_seconds=ages[len(ages) // 2],
    )
