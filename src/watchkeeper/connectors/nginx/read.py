"""One look at an nginx, and its probe."""

import asyncio
import time
from collections.abc import Mapping

from watchkeeper.connectors import hosting
from watchkeeper.connectors.nginx import asking, clearing, learning, status, workers
from watchkeeper.connectors.nginx.configuration import digest
from watchkeeper.connectors.nginx.files import changed
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import Probe, Reading, Refused, WatchkeeperError, now

LEARN_SECONDS = 0.5
"""How long a look waits for a configuration that is being read and tested; it goes on beside later looks."""
FIRST_SECONDS = 1.5
"""The same where none was tested yet: what breaks before one was seen good cannot be put back."""
LIMITS_EVERY = 15.0
CROWDED = 0.6
"""From this share of the connections on it is told who holds them."""
QUIET = 5.0
"""Seconds after which a connection counts as idle, or as slow with its request."""
PER_CONNECTION_BYTES = 16 << 10
"""Memory set aside for each connection more, out of half of what there is: buffers for a request's head and its answer
(client_header_buffer_size, proxy_buffer_size); ours."""
_CARRIED = (
    "worker_processes",
    "worker_connections",
    "connections_limit",
    "configuration_valid",
    "configuration_pending",
    "configuration_known",
    "good_configuration_known",
    "shutdown_timeout",
    "safe_worker_connections",
    "requests_total",
)
_CARRIED_FACTS = (
    "configuration_hash",
    "running_hash",
    "good_hash",
    "configuration_error",
    "configuration_cause",
    "version",
)


async def look(session: NginxSession, last: Reading | None) -> Reading:
    """Answer, connections, logs; the configuration where its files changed. 1.5 s at most, also where it
    fails; the first may take a second more."""
    begun, at = time.perf_counter(), now()
    metrics = {name: last.metrics[name] for name in _CARRIED if last and name in last.metrics}
    facts = {name: last.facts[name] for name in _CARRIED_FACTS if last and name in last.facts}
    metrics["host_known"] = float(session.host is not None)
    state = await hosting.state_of(session.host)
    stopped = state is not None and state.status != "running"
    error: str | None = None
    if session.host is not None and not (stopped and session.configuration is not None):
        known = session.tested is not None
        await learning.soon(session, LEARN_SECONDS if known else FIRST_SECONDS)
    await _of_configuration(session, metrics, facts)
    try:
        async with asyncio.timeout(0.9):
            await _logs(session, metrics, facts)
            await _answers(session, metrics, facts, last, at.timestamp())
    except (OSError, WatchkeeperError) as problem:
        error = _told(session, problem, metrics, facts)
    if error is not None and stopped:
        session.silent_since = None
        metrics |= {"up": 0.0, "responding": 0.0}
        error = f"its {session.host.kind if session.host else 'host'} is {state.status if state else 'unknown'}"
    metrics["unresponsive_seconds"] = 0.0
    if session.silent_since is not None:
        metrics["unresponsive_seconds"] = asyncio.get_running_loop().time() - session.silent_since
    metrics |= hosting.metrics_of(None if error is None else state, answered=session.answered)
    off = any(metrics.get(name) for name in hosting.OFF)
    said = _summary(metrics, error)
    return Reading(session.resource.id, at, time.perf_counter() - begun, metrics, facts, said, error, off)


# Whether it answers ----------------------------------------------------------------------------------------------


async def _answers(
    session: NginxSession, metrics: dict[str, float], facts: dict[str, str], last: Reading | None, at: float
) -> None:
    """Ask stub_status where there is one, else take the connections from the kernel alone. Raises OSError."""
    if session.pid:
        session.family = await asyncio.to_thread(workers.family, session.pid)
        await _processes(session, metrics, facts)
    asked = time.perf_counter()
    told = await asking.status_of(session)
    if told is not None:
        metrics |= {
            "status_known": 1.0,
            "active_connections": float(told.active),
            "reading_connections": float(told.reading),
            "writing_connections": float(told.writing),
            "waiting_connections": float(told.waiting),
            "dropped_connections_total": float(told.accepted - told.handled),
            "requests_total": float(told.requests),
            "answer_seconds": time.perf_counter() - asked,
        }
        _rate(metrics, last, at)
        if "connections" not in metrics:
            metrics["connections"] = float(told.active)
    else:
        metrics["status_known"] = 0.0
        await asking.knock(session, metrics)
    session.answered, session.silent_since = True, None
    metrics |= {"up": 1.0, "responding": 1.0}
    facts["error"] = ""
    _share(metrics)


def _share(metrics: dict[str, float]) -> None:
    limit = metrics.get("connections_limit")
    if limit and "connections" in metrics:
        # One worker may be full while others idle: its own share counts as much as that of all.
        fullest = metrics.get("fullest_worker", 0.0) / metrics["worker_connections"]
        metrics["connections_ratio"] = max(metrics["connections"] / limit, fullest)


def _rate(metrics: dict[str, float], last: Reading | None, at: float) -> None:
    before = last.metrics.get("requests_total") if last else None
    if last is None or before is None:
        return
    seconds, more = at - last.at.timestamp(), metrics["requests_total"] - before
    if seconds > 0.05 and more >= 0:
        metrics["requests_per_second"] = more / seconds


def _told(session: NginxSession, problem: Exception, metrics: dict[str, float], facts: dict[str, str]) -> str:
    """Fill in what the failure itself tells."""
    if isinstance(problem, TimeoutError):
        session.silent_since = session.silent_since or asyncio.get_running_loop().time()
        facts["error"] = "silent"
        metrics["responding"] = 0.0
        return "No answer in time."
    if isinstance(problem, WatchkeeperError):
        facts["error"] = "unknown"
        return problem.what
    session.silent_since = None
    facts["error"] = "refused"
    metrics |= {"up": 0.0, "responding": 0.0}
    return f"Nothing accepts connections: {getattr(problem, 'strerror', '') or problem}"


# Its processes and connections -----------------------------------------------------------------------------------


async def _processes(session: NginxSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    known = session.family
    if known is None:
        return
    metrics |= {
        "workers": float(len(known.serving)),
        "workers_leaving": float(len(known.workers) - len(known.serving)),
        "master_running": float(known.master > 0),
    }
    found = await asyncio.to_thread(workers.held, known)
    if found is None:
        return
    metrics |= {
        "connections": float(found.clients + found.upstreams),
        "client_connections": float(found.clients),
        "upstream_connections": float(found.upstreams),
        "fullest_worker": float(found.fullest),
        "leaving_connections": float(found.leaving),
        "unaccepted_connections": float(found.unaccepted),
        "top_client_connections": float(found.top_connections),
    }
    facts["top_client_address"] = found.top_client
    _share(metrics)
    if metrics.get("connections_ratio", 0.0) > CROWDED:
        await _crowd(session, metrics, facts)
    else:
        session.grown.clear()


async def _crowd(session: NginxSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """What the connections are doing that hold the slots."""
    try:
        sorted_ = await sort(session)
    except (Refused, TimeoutError):
        return
    metrics |= {
        "idle_connections": float(len(sorted_.idle)),
        "slow_connections": float(len(sorted_.slow)),
        "served_connections": float(len(sorted_.served)),
    }
    facts["slow_client_address"] = clearing.largest([*sorted_.idle, *sorted_.slow])[0]


async def sort(session: NginxSession, quiet: float = QUIET) -> clearing.Sorted:
    """The client connections of the workers that serve, by what is going on with them. Raises Refused."""
    if not session.pid or session.family is None or session.loaded is None:
        raise Refused("Its processes are not on this machine: which connections are idle cannot be told.")
    before = await asking.at_work(session)
    listed = await clearing.listed(session.family.workers[0].pid if session.family.workers else session.pid)
    after = await asking.at_work(session)
    ports = {listen.port for listen in session.loaded.listens}
    at = asyncio.get_running_loop().time()
    there = {one.peer: one.received for one in listed if one.port in ports}
    session.grown = {peer: session.grown.get(peer, (at, there[peer])) for peer in there}
    found = clearing.sort(
        listed,
        [worker.pid for worker in session.family.serving],
        ports,
        quiet,
        session.grown,
        at=at,
        blind=session.loaded.serves_without_tcp,
    )
    return found.careful(min(before, after))


# Its configuration -----------------------------------------------------------------------------------------------


async def _of_configuration(session: NginxSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """What is known of it by now."""
    facts["configuration_problem"] = session.problem
    metrics["configuration_known"] = float(session.configuration is not None)
    if session.configuration is None:
        return
    configuration = session.configuration
    facts["configuration_hash"] = configuration.digest
    facts["running_hash"] = session.running or ""
    facts["good_hash"] = digest(session.good) if session.good else ""
    differ = changed(session.good, configuration.contents) if session.good else []
    facts["changed_files"] = ", ".join(differ)
    facts["read_only"] = next((session.barred[path] for path in differ if path in session.barred), "")
    facts["flags"], facts["main_file"] = session.flags, configuration.main
    metrics["good_configuration_known"] = float(bool(session.good))
    metrics["shutdown_timeout"] = float(bool(configuration.shutdown_timeout))
    if session.tested is None:
        return
    metrics["configuration_valid"] = float(session.tested.good)
    facts["configuration_error"] = "" if session.tested.good else session.tested.said
    facts["configuration_cause"] = session.tested.cause
    unchanged = asyncio.get_running_loop().time() - session.changed_at if session.changed_at is not None else 3600.0
    metrics["configuration_unchanged_seconds"] = min(unchanged, 3600.0)
    if session.running:
        metrics["configuration_pending"] = float(session.tested.good and session.running != configuration.digest)
    if session.tested.good:  # else what is loaded is not what is written there
        _size(session, metrics)
    await _limits(session, metrics)


def _size(session: NginxSession, metrics: dict[str, float]) -> None:
    configuration = session.known()
    number = configuration.worker_processes
    if number is None and session.family is not None:
        number = len(session.family.serving)
    if number:
        metrics["worker_processes"] = float(number)
    if not metrics.get("configuration_pending") or "worker_connections" not in metrics:
        metrics["worker_connections"] = float(configuration.worker_connections)
    if metrics.get("worker_processes"):
        metrics["connections_limit"] = metrics["worker_connections"] * metrics["worker_processes"]


async def _limits(session: NginxSession, metrics: dict[str, float]) -> None:
    """How many connections each worker could have: two files for each request that is handed on, and memory."""
    if session.family is None or not session.family.serving or not session.due("limits", LIMITS_EVERY):
        return
    try:
        _, hard = await asyncio.to_thread(workers.files_limits, session.family.serving[0].pid)
        assert session.host is not None
        memory = (await session.host.limits()).room_bytes
    except (OSError, WatchkeeperError):
        return
    safe = hard // 2
    if memory:
        safe = min(safe, memory // 2 // PER_CONNECTION_BYTES // max(1, len(session.family.serving)))
    metrics["safe_worker_connections"] = float(safe)


async def _logs(session: NginxSession, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """What the logs told in the last seconds."""
    if session.loaded is not None:
        await session.logs.attend(session.loaded, session.files)
    await session.logs.drain(session.files)
    logs = session.logs
    present = asyncio.get_running_loop().time()
    more, said = logs.traffic.told(present, since=logs.since, access=logs.access, errors=logs.errors)
    metrics |= more
    facts |= said
    facts["unread_logs"] = "; ".join(f"{path}: {why}" for path, why in logs.unread.items())
    metrics["unread_lines_total"] = float(logs.traffic.unread)


def _summary(metrics: Mapping[str, float], error: str | None) -> str:
    if error is not None:
        return error.rstrip(".").lower()
    said = "answers"
    if "connections" in metrics and "connections_limit" in metrics:
        said = f"{metrics['connections']:.0f} of {metrics['connections_limit']:.0f} connections"
    if metrics.get("bad_gateway_ratio"):
        said += f", {metrics['bad_gateway_ratio']:.0%} bad gateway"
    if metrics.get("configuration_valid") == 0.0:
        said += ", broken configuration on disk"
    return said


async def try_out(session: NginxSession) -> Probe:
    """A real request where visitors come in: anything but an error of the server's own, or of what it asks."""
    begun, at = time.perf_counter(), now()
    path = str(session.resource.settings.get("probe") or (session.url.path if session.url else "") or "/")
    what, ok, error = f"GET {path}", None, None
    try:
        listen = asking.front(session)
        for address, port in await session.endpoints(listen.port):
            try:
                name = status.name_of(listen.names)
                answer = await status.ask(address, port, path, name=name, tls=listen.tls, timeout=2.0)
            except OSError as problem:
                ok, error = False, str(problem) or "no answer in time"
                continue
            if answer.status:
                ok = answer.status < 500
                error = None if ok else f"it answers {answer.status}"
            else:  # a server may be told to close without a word (`return 444`)
                ok, error = None, "it closed the connection without a word"
            break
    except WatchkeeperError as problem:
        error = problem.what
    return Probe(session.resource.id, at, ok, time.perf_counter() - begun, what, error)
