"""One look at a PgBouncer, and its probe."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from watchkeeper.connectors import hosting
from watchkeeper.connectors.pgbouncer.figures import CONSOLE, Pool, crowd, pools, waiting_as, worst
from watchkeeper.connectors.pgbouncer.session import PgbouncerSession
from watchkeeper.connectors.pgbouncer.trouble import Trouble, trouble
from watchkeeper.connectors.speaking import NAME
from watchkeeper.domain import Probe, Reading, now
from watchkeeper.domain.rights import machine

SELDOM_EVERY = 15.0
"""Seconds between looks at what changes slowly: settings."""
_TOTALS_EVERY = 2.0
_CROWD_EVERY = 3.0
_ADMITTED_EVERY = 3.0
_THROUGH_EVERY = 5.0
"""Seconds between queries through it to the database that is named."""
_FORGET_SECONDS = 40.0
"""Where nobody waits any more for so long at a pool without a connection, nobody wants one: it tries again to get one
every 15 s (server_login_retry), and clients that were thrown out come back by then."""
LOOK = machine("a user of PgBouncer's stats_users", gives="pools, clients and counters of a PgBouncer")
ACTS = machine("a user of PgBouncer's admin_users", gives="tools that change something at a PgBouncer")

_CARRIED = (
    "max_clients",
    "default_pool_size",
    "reserve_pool_size",
    "server_max_connections",
    "queries_total",
    "transactions_total",
    "queries_per_second",
    "transactions_per_second",
    "query_seconds",
    "wait_seconds",
    "crowd_clients",
)
_CARRIED_FACTS = ("version", "crowd_address", "crowd_application")
_RATES = {"queries_per_second": "queries_total", "transactions_per_second": "transactions_total"}


async def look(session: PgbouncerSession, last: Reading | None) -> Reading:
    """Pools and databases; counters and settings less often. 1.5 s at most, also where it fails."""
    begun, at = time.perf_counter(), now()
    session.logs.follow()
    metrics = {name: last.metrics[name] for name in _CARRIED if last and name in last.metrics}
    facts = {name: last.facts[name] for name in _CARRIED_FACTS if last and name in last.facts}
    metrics["host_known"] = float(session.host is not None)
    try:
        async with asyncio.timeout(1.3):
            await _good(session, metrics, facts)
        error, state = None, _summary(session, metrics, facts)
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        state = await _failed(session, found, metrics, facts)
        error = str(found)
    off = any(metrics.get(name) for name in hosting.OFF)
    return Reading(session.resource.id, at, time.perf_counter() - begun, metrics, facts, state, error, off)


async def _good(session: PgbouncerSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    asked = time.perf_counter()
    rows = await session.console("SHOW POOLS", timeout=0.9)
    metrics |= hosting.metrics_of(None) | {
        "up": 1.0,
        "responding": 1.0,
        "starting": 0.0,
        "unresponsive_seconds": 0.0,
        "answer_seconds": time.perf_counter() - asked,
    }
    facts["error"] = ""
    databases = {str(row["name"]): row for row in await session.console("SHOW DATABASES") if row["name"] != CONSOLE}
    found = await _without_us(session, pools(rows, databases), databases)
    await _state(session, metrics)
    _databases(session, databases, found, metrics, facts)
    _pools(session, found, metrics, facts)
    if session.due("seldom", SELDOM_EVERY) or "max_clients" not in metrics:
        await _seldom(session, metrics, facts)
    if session.due("totals", _TOTALS_EVERY):
        await _totals(session, metrics)
    await _clients(session, metrics)
    metrics["refused_seconds"] = 0.0
    if session.database:
        await _through(session, metrics, facts)
    if metrics["clients_waiting"] and session.due("crowd", _CROWD_EVERY):
        await _crowd(session, metrics, facts)
    await _admitted(session, found, metrics, facts)


async def _without_us(
    session: PgbouncerSession, found: list[Pool], databases: Mapping[str, Mapping[str, Any]]
) -> list[Pool]:
    """The pools as they would be without queries of our own that wait in one, and whether others are served there."""
    session.ours_waiting = 0
    if any(pool.waiting and (pool.database, pool.user) == (session.database, session.user) for pool in found):
        clients = await session.console("SHOW CLIENTS")  # and the pools once more: who was thrown out is in neither
        session.ours_waiting = waiting_as(clients, session.database, session.user, NAME)
        found = pools(await session.console("SHOW POOLS"), databases)
    here = [pool for pool in found if session.database and pool.database == session.database]
    ours = next((pool for pool in here if pool.user == session.user), None)
    others = ours.active + max(0, ours.waiting - session.ours_waiting) if ours is not None else 0
    session.others_served = any(pool.servers for pool in here if pool is not ours or others > 0)
    if ours is None or not session.ours_waiting:
        return found
    waiting = max(0, ours.waiting - session.ours_waiting)
    alone = replace(ours, waiting=waiting, wait_seconds=ours.wait_seconds if waiting else 0.0)
    return [alone if pool is ours else pool for pool in found]


async def _crowd(session: PgbouncerSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Whose clients are most at the pool that is worst off."""
    if who := crowd(await session.console("SHOW CLIENTS"), facts["pool_database"]):
        facts |= {"crowd_address": who[0], "crowd_application": who[1]}
        metrics["crowd_clients"] = float(who[2])


async def _admitted(
    session: PgbouncerSession, found: list[Pool], metrics: dict[str, float], facts: dict[str, str]
) -> None:
    """Who is refused at login again and again, by its log; and whether anybody else is served."""
    told = session.logs.admissions
    active = any(pool.active for pool in found if pool.user != session.user)
    alike = not active and any(pool.active for pool in found if pool.user == session.user)
    if told.refuses and (alike or told.wants_to_know()) and session.due("admitted", _ADMITTED_EVERY):
        rows = await session.console("SHOW CLIENTS")
        told.seen(rows)
        session.others_active = any(
            row["database"] != CONSOLE and row.get("application_name") != NAME and row["state"] in ("active", "idle")
            for row in rows
        )
    active = active or (alike and session.others_active)
    told_metrics, told_facts = told.told(asyncio.get_running_loop().time(), active=active, silence=session.logs.silence)
    metrics |= told_metrics
    facts |= told_facts


async def _state(session: PgbouncerSession, metrics: dict[str, float]) -> None:
    """Whether the pooler as a whole is paused, which versions before 1.19 do not tell."""
    metrics |= {"state_told": float(session.tells_state), "paused": 0.0}
    if not session.tells_state:
        return
    try:
        rows = await session.console("SHOW STATE")
    except Trouble as problem:
        if problem.category != "said":
            raise
        session.tells_state, metrics["state_told"] = False, 0.0
        return
    told = {str(row.get("key")): str(row.get("value")) for row in rows}
    metrics["paused"] = float(told.get("paused") == "yes" or told.get("suspended") == "yes")


def _databases(
    session: PgbouncerSession,
    databases: Mapping[str, Mapping[str, Any]],
    found: list[Pool],
    metrics: dict[str, float],
    facts: dict[str, str],
) -> None:
    paused = sorted(name for name, row in databases.items() if row.get("paused"))
    disabled = sorted(name for name, row in databases.items() if row.get("disabled"))
    everything = metrics["paused"] > 0
    waiting = [pool for pool in found if pool.waiting and (everything or pool.paused)]
    held_up = [pool.database for pool in waiting] or paused
    metrics |= {
        "databases": float(len(databases)),
        "paused_databases": float(len(paused)),
        "paused_clients_waiting": float(sum(pool.waiting for pool in waiting)),
        "paused_seconds": session.lasting("paused", everything or bool(paused)),
        "disabled_databases": float(len(disabled)),
        "disabled_seconds": session.lasting("disabled", bool(disabled)),
    }
    facts |= {
        "paused_database": "" if everything else (held_up[0] if held_up else ""),
        "disabled_database": disabled[0] if disabled else "",
    }


def _pools(session: PgbouncerSession, found: list[Pool], metrics: dict[str, float], facts: dict[str, str]) -> None:
    going = [pool for pool in found if not pool.paused] if not metrics["paused"] else []
    full = worst([pool for pool in going if pool.full])
    unserved = worst([pool for pool in going if pool.unserved])
    most = full or unserved or worst(found)
    metrics |= {
        "clients_active": float(sum(pool.active for pool in found)),
        "clients_waiting": float(sum(pool.waiting for pool in found)),
        "longest_wait_seconds": max((pool.wait_seconds for pool in going), default=0.0),
        "servers": float(sum(pool.servers for pool in found)),
        "servers_active": float(sum(pool.servers_active for pool in found)),
        "servers_login": float(sum(pool.login for pool in found)),
        "pool_used_ratio": max((pool.used_ratio for pool in found), default=0.0),
        "pool_size": float(most.size if most else 0),
        "pool_clients_waiting": float(most.waiting if most else 0),
        "pool_exhausted_seconds": session.lasting("full", full is not None),
        "unserved_seconds": _unserved(session, going),
    }
    facts |= {"pool_database": "", "pool_user": "", "pool": ""}
    if most:
        facts |= {"pool_database": most.database, "pool_user": most.user, "pool": most.said}


def _unserved(session: PgbouncerSession, going: list[Pool]) -> float:
    """For how long clients have been seen to wait at a pool without any connection to a server. They come and go: each
    time a login fails all of them are thrown out, so it stands until a connection is there or nobody has come for
    long."""
    present = asyncio.get_running_loop().time()
    pools = {(pool.database, pool.user): pool for pool in going if not pool.servers}
    for key in set(session.unserved) - set(pools):
        del session.unserved[key]
    for key, pool in pools.items():
        first, last = session.unserved.get(key, (present, present))
        if pool.waiting:
            session.unserved[key] = (first, present)
        elif present - last > _FORGET_SECONDS:
            session.unserved.pop(key, None)
    return max((last - first for first, last in session.unserved.values()), default=0.0)


async def _through(session: PgbouncerSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Whether a query gets to the database that is named, and how many connections its server allows."""
    facts["own_error"] = ""
    if metrics["paused"] or metrics["paused_databases"] or metrics["clients_waiting"]:
        return  # it would wait as all others do
    if session.due("through", _THROUGH_EVERY) and not session.ours_waiting:
        try:
            (row,) = await session.through("SELECT current_setting('max_connections')::int AS most", timeout=0.4)
            metrics["server_max_connections"] = float(row["most"])
            session.refused, session.own_error = None, ""
        except Trouble as problem:
            if problem.category == "password":
                session.own_error = str(problem)
            elif problem.category not in ("silent", "exhausted", "lost"):  # those say nothing of the server
                since = session.refused[0] if session.refused else asyncio.get_running_loop().time()
                session.refused = (since, str(problem))
    refused = session.refused
    if refused and session.others_served:  # what keeps us out keeps nobody else out
        session.own_error, refused = session.own_error or refused[1], None
    facts["own_error"] = session.own_error
    metrics["refused_seconds"] = asyncio.get_running_loop().time() - refused[0] if refused else 0.0
    facts["server_error"] = refused[1] if refused else ""


async def _seldom(session: PgbouncerSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    (row,) = await session.console("SHOW VERSION")
    facts["version"] = str(next(iter(row.values()))).removeprefix("PgBouncer ")
    told = {str(row["key"]): str(row["value"]) for row in await session.console("SHOW CONFIG")}
    for metric, key in {
        "max_clients": "max_client_conn",
        "default_pool_size": "default_pool_size",
        "reserve_pool_size": "reserve_pool_size",
    }.items():
        if told.get(key, "").isdigit():
            metrics[metric] = float(told[key])
    await session.logs.attend(told)


async def _clients(session: PgbouncerSession, metrics: dict[str, float]) -> None:
    """Everybody who holds a connection to it, being let in or not; we are one of them."""
    told = {str(row["list"]): float(row["items"]) for row in await session.console("SHOW LISTS")}
    metrics["clients"] = told.get("used_clients", 0.0) + told.get("login_clients", 0.0)
    if metrics.get("max_clients"):
        metrics["clients_ratio"] = metrics["clients"] / metrics["max_clients"]


async def _totals(session: PgbouncerSession, metrics: dict[str, float]) -> None:
    rows = [row for row in await session.console("SHOW STATS") if row["database"] != CONSOLE]

    def total(name: str) -> float:
        return float(sum(row.get(name) or 0 for row in rows))

    present = asyncio.get_running_loop().time()
    totals = {"queries_total": total("total_query_count"), "transactions_total": total("total_xact_count")}
    spent = {"query": total("total_query_time") / 1e6, "wait": total("total_wait_time") / 1e6}
    before = session.totals
    session.totals = (present, {**totals, **spent})
    metrics |= totals
    if before is None or (seconds := present - before[0]) < 0.05:
        return
    passed = {name: value - before[1].get(name, 0.0) for name, value in {**totals, **spent}.items()}
    if min(passed.values()) < 0:
        return  # it was started anew
    for rate, name in _RATES.items():
        metrics[rate] = passed[name] / seconds
    queries = passed["queries_total"]
    metrics |= {
        "query_seconds": passed["query"] / queries if queries else 0.0,
        "wait_seconds": passed["wait"] / queries if queries else 0.0,
    }


async def _failed(session: PgbouncerSession, found: Trouble, metrics: dict[str, float], facts: dict[str, str]) -> str:
    """Fill in what the failure itself tells, and how the host is. Returns the state in words."""
    state = await hosting.state_of(session.host)
    host = hosting.metrics_of(state, answered=session.answered)
    facts["error"] = found.category
    session.since.clear()
    if host.get("host_running") == 0.0 or host.get("host_paused") == 1.0:
        session.ought_not_answer()
    silent = 0.0
    if session.silent_since is not None:
        silent = asyncio.get_running_loop().time() - session.silent_since
    answers = found.category not in ("silent", "refused", "lost")
    metrics |= host | {"responding": float(answers), "unresponsive_seconds": silent, "starting": 0.0}
    # A silent pooler may still be up: only a refused connection, or a host that does not run, tells that it is down.
    if found.category != "silent" or host.get("host_running") == 0.0:
        metrics["up"] = float(answers)
    if found.category == "exhausted":
        metrics["clients_ratio"] = 1.0
    if session.host is None or state is None or state.status == "running":
        return found.category
    return hosting.stopped(session.host, state, host)


def _summary(session: PgbouncerSession, metrics: Mapping[str, float], facts: Mapping[str, str]) -> str:
    said = f"{metrics['clients']:.0f} clients on {metrics['servers']:.0f} connections"
    if waiting := metrics["clients_waiting"]:
        said += f", {waiting:.0f} waiting"
    if metrics["paused"] or metrics["paused_databases"]:
        said += ", paused"
    if metrics.get("clients_refused"):
        said += ", refuses clients at login"
    own = facts.get("own_error")
    return f"{said}; no query of ours gets through to {session.database}: {own}" if own else said


async def try_out(session: PgbouncerSession) -> Probe:
    """`SELECT 1` through it to the database that is named; where none is, a question to the console."""
    begun, at = time.perf_counter(), now()
    what = f"SELECT 1 through {session.database}" if session.database else "the console answers"
    ok: bool | None
    error = None
    try:
        async with asyncio.timeout(2.0):
            if session.database:
                (row,) = await session.through("SELECT 1 AS one", timeout=1.8)
                error = None if row["one"] == 1 else "what came back is not what was asked for"
            else:
                await session.console("SHOW VERSION")
                error = _waiting(session)
        ok = error is None
    except (Trouble, TimeoutError) as problem:
        found = trouble(problem)
        # Without the password nothing is learnt of whether it works, nor where we alone are kept out.
        ours = found.category in ("password", "denied") or bool(session.own_error and session.others_served)
        ok, error = (None if ours else False), session.own_error or str(found)
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)


def _waiting(session: PgbouncerSession) -> str | None:
    """Without a query through it: who was seen to wait at a pool that has not got a connection since."""
    if not session.unserved:
        return None
    database, user = next(iter(session.unserved))
    return f"clients of {database} as {user} were seen to wait, and it has no connection to the server since"


async def peers(session: PgbouncerSession) -> list[str] | None:
    """The IP addresses of its clients, one for each connection, without ours."""
    try:
        rows = await session.console("SHOW CLIENTS")
    except Trouble:
        return None
    return [str(row["addr"]) for row in rows if row["database"] != CONSOLE and row["addr"] not in ("unix", "")]
