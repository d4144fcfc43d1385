"""What can be done with an nginx. What changes its files is in `changes`."""

import asyncio
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen

from watchkeeper.connectors import hosting
from watchkeeper.connectors.nginx import clearing, editing, learning, needs, preconditions
from watchkeeper.connectors.nginx.by_hand import as_started
from watchkeeper.connectors.nginx.changes import (
    cut_short,
    nginx_restore_config,
    nginx_scale_connections,
    nginx_set_split,
)
from watchkeeper.connectors.nginx.read import QUIET, sort
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.connectors.nginx.status import ask
from watchkeeper.domain import Effect, Refused, Tool, WatchkeeperError, tool
from watchkeeper.domain.saying import say
from watchkeeper.hosts.rights import RESTARTS

_POLL_SECONDS = 0.1
_PASSES = 4
_BETWEEN_SECONDS = 0.4
"""Between two passes the clocks of what is served and of what is slow have moved apart."""


async def start_count(session: NginxSession) -> dict[str, Any]:
    """Changes with every start of what it runs on."""
    return await hosting.start_count(session.host)


async def loaded(session: NginxSession) -> dict[str, Any]:
    """Which workers serve: others after each reload."""
    return {"workers": session.family.generation if session.family else ""}


@tool(Effect.READ, timeout=10.0, rights=(*needs.READS, *needs.ENDS), by_hand=as_started("{inside}nginx -T"))
async def nginx_info(session: NginxSession) -> dict[str, Any]:
    """How it is set up and what it does: workers, connections and what they are doing, where it listens, what it hands
    requests on to, its files and logs. No content of its configuration."""
    configuration = session.known()
    told: dict[str, Any] = {
        "listens": [
            f"{listen.address or '*'}:{listen.port}{' tls' if listen.tls else ''}" for listen in configuration.listens
        ],
        "worker_processes": configuration.worker_processes or "auto",
        "worker_connections": configuration.worker_connections,
        "upstreams": {
            name: [{"address": p.address, "weight": p.weight, "down": p.down, "backup": p.backup} for p in peers]
            for name, peers in configuration.upstreams.items()
        },
        "hands_on_to": sorted(set(configuration.targets)),
        "stub_status": [f"{where.listen.port}{where.path}" for where in configuration.status],
        "files": sorted(configuration.contents),
        "access_logs": [log.path for log in configuration.access_logs],
        "error_logs": [log.path for log in configuration.error_logs],
        "configuration": {"on_disk": configuration.digest, "loaded": session.running or "not known"},
    }
    if session.family is not None:
        workers = session.family.workers
        told["workers"] = [{"pid": one.pid, "shutting_down": one.leaving} for one in workers]
    try:
        sorted_ = await sort(session)
    except Refused as why:
        told["connections"] = why.what
    else:
        told["connections"] = {
            "idle": len(sorted_.idle),
            "slow_with_their_request": len(sorted_.slow),
            "served": len(sorted_.served),
            "most_from": clearing.largest([*sorted_.idle, *sorted_.slow, *sorted_.served])[0],
        }
    return told


@tool(
    Effect.READ, timeout=15.0, requires=(hosting.has_a_host,), rights=needs.TEST, by_hand=as_started("{inside}nginx -t")
)
async def nginx_test(session: NginxSession) -> dict[str, Any]:
    """Test the configuration on disk as it is now (`nginx -t`), and whether it is the one that is loaded."""
    await learning.now(session)
    if session.tested is None:
        raise WatchkeeperError(f"It could not be tested: {session.problem}")
    configuration = session.known()
    return {
        "valid": session.tested.good,
        "said": session.tested.said,
        "on_disk": configuration.digest,
        "loaded": session.running or "not known",
    }


@tool(
    Effect.REVERSIBLE,
    state=loaded,
    settle=5.0,
    timeout=30.0,
    effect_now=cut_short,
    requires=(hosting.has_a_host, preconditions.tests_good),
    rights=needs.RELOAD,
    by_hand=as_started("{inside}nginx -s reload"),
)
async def nginx_reload(session: NginxSession) -> dict[str, Any]:
    """Load the configuration on disk, once it tests good. New workers take what is new; the old ones finish what they
    have begun: no request is cut off. Idle keep-alive connections are closed."""
    return await editing.reload(session)


@tool(
    Effect.DISRUPTIVE,
    state=start_count,
    settle=10.0,
    timeout=60.0,
    requires=(hosting.has_a_host, preconditions.serves_what_is_loaded, preconditions.not_the_upstream),
    rights=RESTARTS,
    by_hand="{restart}",
)
async def nginx_restart(session: NginxSession) -> dict[str, Any]:
    """Restart the server and wait until it answers. Requests at work are cut off; nothing is stored in it."""
    if session.host is None:
        raise Refused("It is known only by its address; nothing here can restart it.")
    await session.host.restart()
    session.stamp = None
    await _until_it_answers(session, 30.0)
    return await start_count(session)


async def _until_it_answers(session: NginxSession, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    listens = session.configuration.listens if session.configuration else []
    while True:
        try:
            for listen in listens[:1]:
                for address, port in await session.endpoints(listen.port):
                    await ask(address, port, "/", tls=listen.tls)
                    return
            if not listens:
                return
        except OSError as problem:
            if loop.time() >= until:
                raise WatchkeeperError(f"It does not answer after the restart: {problem}") from None
            say(f"not yet: {problem}")
        if loop.time() >= until:
            raise WatchkeeperError("It has no address after the restart.")
        await asyncio.sleep(_POLL_SECONDS)


async def crowded(session: NginxSession) -> dict[str, Any]:
    """How many connections are idle or slow: fewer afterwards."""
    found = await sort(session)
    return {"idle": len(found.idle), "slow": len(found.slow)}


@tool(
    Effect.DISRUPTIVE,
    state=crowded,
    settle=5.0,
    timeout=30.0,
    requires=(hosting.has_a_host, preconditions.short_of_connections, preconditions.someone_holds),
    rights=(*needs.COUNTS, *needs.ENDS),
    by_hand="nsenter -t PID -n ss -K state established dst {address}",
)
async def nginx_clear_connections(
    session: NginxSession,
    quiet_seconds: Annotated[float, Ge(2), Le(3600)] = QUIET,
    address: Annotated[str, MaxLen(45)] = "",
) -> dict[str, Any]:
    """End connections that are held for nothing: idle for so long, or so long in the middle of a request that hardly
    comes; all, or those of one IP address. What is being served goes on, however long it takes."""
    ended = {"idle": 0, "slow": 0}
    spared = 0
    for turn in range(_PASSES):
        found = await sort(session, quiet_seconds)
        chosen = {
            name: [one for one in group if not address or one.address == address]
            for name, group in (("idle", found.idle), ("slow", found.slow))
        }
        spared = len(found.served)
        if not turn and not any(chosen.values()):
            raise Refused(
                f"No connection{f' of {address}' if address else ''} is idle or slow for {quiet_seconds:g} s."
            )
        for name, group in chosen.items():
            await clearing.end(session.family.workers[0].pid if session.family else session.pid, group)
            ended[name] += len(group)
        say(f"{ended['idle']} idle and {ended['slow']} slow connections ended, {spared} left alone")
        await asyncio.sleep(_BETWEEN_SECONDS)
    return {**ended, "left_alone": spared}


TOOLS: tuple[Tool[NginxSession], ...] = (
    nginx_info,
    nginx_test,
    nginx_reload,
    nginx_scale_connections,
    nginx_clear_connections,
    nginx_restore_config,
    nginx_set_split,
    nginx_restart,
)
