"""Ending sessions, and getting in where no slot is free."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from watchkeeper.connectors.postgres import queries
from watchkeeper.connectors.postgres.figures import is_protected
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.trouble import Trouble, denied
from watchkeeper.domain import Refused
from watchkeeper.domain.saying import say

_GRACE_SECONDS = 2.0
"""How long a statement may take to end, and a session to be gone."""
_ATTEMPTS = 10
_POLL_SECONDS = 0.05
_FREE_ONE = r"""
spared=" $1 " users=" $2 " parent=$3 newest=0 victim=
for folder in /proc/[0-9]*; do
  case $spared in *" ${folder#/proc/} "*) continue ;; esac
  title=$(tr '\0' ' ' < "$folder/cmdline" 2>/dev/null) || continue
  case $title in
    postgres:*"(walsender)"*|postgres:*"walsender "*|postgres:*") COPY"*|postgres:*") VACUUM"*) continue ;;
    postgres:*"("*[0-9]")"*|postgres:*"[local]"*) ;;
    *) continue ;;
  esac
  user=${title#postgres: }
  case ${user%% *} in *:) user=${user#* } ;; esac
  case $users in *" ${user%% *} "*) continue ;; esac
  set -- $(sed 's/.*) //' "$folder/stat" 2>/dev/null)
  [ -n "${20:-}" ] && { [ -z "$parent" ] || [ "$2" = "$parent" ]; } || continue
  began=${20}
  if [ "$began" -ge "$newest" ]; then newest=$began victim=${folder#/proc/}; fi
done
[ -n "$victim" ] && kill -TERM "$victim" && echo "$victim"
"""
"""Ends the youngest client session from below: most likely one of those that took the last slots, and no dump. Neither
one that is known to be protected (`$1`, process ids) nor one of a protected user (`$2`): which application it is, only
the server knows. `$3` is their parent, where other servers' sessions may be seen too. SIGTERM ends one backend and
nothing else (documentation, "pg_terminate_backend")."""


async def of_others(session: PostgresSession, statement: str) -> list[dict[str, Any]]:
    """What a statement says of others' sessions. Raises Trouble where they are hidden from us: none is not what is
    there."""
    rows = await session.query(statement, timeout=3.0)
    if not (await session.query(queries.SEES))[0]["sees"]:
        raise denied("pg_read_all_stats", "what other users' sessions do is hidden")
    return rows


async def matching(
    session: PostgresSession,
    *,
    query_hash: str = "",
    state: str = "",
    min_seconds: float = 0.0,
) -> list[Mapping[str, Any]]:
    """Client sessions that may be ended, by what they do and for how long. Raises Trouble."""
    clock = "query_seconds" if state == "active" else "state_seconds"
    return [
        row
        for row in await of_others(session, queries.SESSIONS)
        if not is_protected(row, session.protect)
        and (not query_hash or row["query_hash"] == query_hash)
        and (not state or str(row["state"]).startswith(state))
        and (state != "idle" or row["state"] == "idle")
        and row[clock] >= min_seconds
    ]


async def cancel(session: PostgresSession, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Cancel what they run, and give it time to end; those that are there still, idle or not. Raises Trouble."""
    await _signal(session, "pg_cancel_backend", rows)
    return await _until(session, rows, lambda left: not any(row["state"] == "active" for row in left))


async def terminate(session: PostgresSession, rows: Sequence[Mapping[str, Any]]) -> int:
    """End the sessions and wait until they are gone; how many are. Open transactions are rolled back, what is committed
    stays. Raises Trouble."""
    await _signal(session, "pg_terminate_backend", rows)
    return len(rows) - len(await _until(session, rows, lambda left: not left))


async def _until(
    session: PostgresSession, rows: Sequence[Mapping[str, Any]], done: Callable[[list[Mapping[str, Any]]], bool]
) -> list[Mapping[str, Any]]:
    """Those of the sessions that are left when it is done, or when the time is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _GRACE_SECONDS
    while True:
        left = await _still(session, rows)
        say(f"{len(left)} of {len(rows)} sessions are left")
        if done(left) or loop.time() > until:
            return left
        await asyncio.sleep(_POLL_SECONDS)


async def _signal(session: PostgresSession, function: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """A process id may be another session's by now: the moment it began must be the same. Those of superusers are
    passed over where we are none. Raises Trouble where that is all of them."""
    statement = (
        f"SELECT count(*) FILTER (WHERE CASE WHEN allowed THEN {function}(pid) ELSE false END) AS done, "
        "count(*) AS there, count(*) FILTER (WHERE allowed) AS allowed FROM ("
        "SELECT a.pid, me.rolsuper OR NOT coalesce(r.rolsuper, false) AS allowed FROM pg_stat_activity a "
        "JOIN unnest(%(pids)s::int[], %(began)s::text[]) AS w(pid, began) "
        "ON a.pid = w.pid AND a.backend_start::text = w.began "
        "LEFT JOIN pg_roles r ON r.oid = a.usesysid JOIN pg_roles me ON me.rolname = current_user) AS found"
    )
    wanted = {"pids": [row["pid"] for row in rows], "began": [row["started"] for row in rows]}
    (found,) = await session.query(statement, wanted, timeout=5.0)
    if found["there"] and not found["allowed"]:
        raise denied("superuser", "the sessions of a superuser are ended by superusers alone")
    return int(found["done"])


async def _still(session: PostgresSession, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    began = {row["pid"]: row["started"] for row in rows}
    return [
        row for row in await session.query(queries.SESSIONS, timeout=3.0) if began.get(row["pid"]) == row["started"]
    ]


async def _spared(session: PostgresSession) -> tuple[str, str, str]:
    """Whom not to hit: process ids seen to be protected (of its own PID namespace, as in /proc there), and users; and
    whose children alone may be hit."""
    assert session.host is not None
    parent = "" if session.host.kind == "container" else str((await session.host.state()).pid or "unknown")
    return " ".join(map(str, session.spared)), " ".join(session.protect), parent


async def get_in(session: PostgresSession) -> int:
    """Free slots from below until we have one; how many it took. Raises Refused where this cannot be done here."""
    freed = 0
    for _ in range(_ATTEMPTS):
        try:
            await session.query("SELECT 1")
            return freed
        except Trouble as problem:
            if problem.category != "exhausted":
                raise
        if session.host is None:
            raise Refused("All connections are taken, and its host is not known here: no slot can be freed.")
        done = await session.host.exec(["sh", "-c", _FREE_ONE, "free-one", *await _spared(session)], timeout=5.0)
        if done.exit_code or not done.stdout.strip():
            raise Refused("All connections are taken, and none of them may be ended from below.")
        freed += 1
        say(f"{freed} slots freed to get in")
        await asyncio.sleep(_POLL_SECONDS)
    raise Refused(f"All connections are taken again each time: {freed} were ended without getting in.")
