"""More replicas of a compose service, and fewer again. Only what was made here is ever removed here."""

import asyncio
from typing import Annotated, Any

from annotated_types import Ge, Le

from watchkeeper.connectors.docker.read import ContainerSession
from watchkeeper.domain import Conflict, Effect, Refused, tool
from watchkeeper.domain.rights import calls
from watchkeeper.hosts import replicas as service
from watchkeeper.hosts.replicas import Replica
from watchkeeper.hosts.rights import INSPECT, SCALE


async def replica_set(session: ContainerSession) -> dict[str, str]:
    """The replicas of its service, id by name. One that was created and never started does not count."""
    return {one.name: one.id for one in await _replicas(session) if one.status != "created"}


async def _replicas(session: ContainerSession) -> tuple[Replica, ...]:
    if service.SERVICE not in session.host.labels:
        return ()
    return await service.replicas(session.host.engine, session.host.labels)


@tool(
    Effect.REVERSIBLE,
    state=replica_set,
    settle=5.0,
    timeout=120.0,
    rights=calls(INSPECT, *SCALE),
    by_hand="docker compose up -d --scale {service}={replicas} --no-recreate",
)
async def docker_scale(session: ContainerSession, replicas: Annotated[int, Ge(1), Le(16)]) -> dict[str, Any]:
    """Run so many replicas of the compose service this container belongs to. New ones are copies of it: same image,
    environment, limits, networks and aliases, with host ports of their own on loopback. It waits until they are
    healthy, and removes them again where they are not. Only replicas made this way are removed when there are to be
    fewer. Refuses a service that writes to a volume, has a fixed name or address, or uses the host's network."""
    shown = await session.host.inspect()
    service.refuse(shown)
    present = await _replicas(session)
    there = [one for one in present if one.status != "created"]
    if len(there) == replicas:
        raise Refused(f"There are {replicas} replicas already.")
    if len(there) > replicas:
        gone = await _fewer(session, there, len(there) - replicas)
        return {"before": len(there), "now": replicas, "removed": gone}
    for leftover in present:  # of somebody who was interrupted before it was started
        if leftover.status == "created" and leftover.made:
            await service.remove(session.host.engine, leftover)
    made = await _more(session, shown, replicas - len(there))
    return {"before": len(there), "now": replicas, "made": made}


@docker_scale.undo
async def rescale(session: ContainerSession, before: dict[str, str]) -> None:
    """Remove what was made since, with its stop signal; make up for what was removed."""
    present = await _replicas(session)
    kept = [one for one in present if one.id in before.values()]
    for one in reversed(present):
        if one not in kept and one.made:
            await service.remove(session.host.engine, one)
    if missing := len(before) - len(kept):
        await _more(session, await session.host.inspect(), missing)


async def _more(session: ContainerSession, shown: dict[str, Any], count: int) -> dict[str, dict[str, str]]:
    """Make so many, all or none; their published addresses by name."""
    if shown["State"].get("Status") != "running":
        raise Refused(f"{session.host.name} does not run: nothing tells that a copy of it would.")
    engine = session.host.engine
    used = {one.number for one in await _replicas(session)}
    numbers = [number for number in range(1, len(used) + count + 1) if number not in used][:count]
    made: list[Replica] = []
    try:
        for number in numbers:
            made.append(await service.create(engine, shown, number))
        for one in made:
            await service.start(engine, one)
        return {one.name: await service.until_healthy(engine, one) for one in made}
    except BaseException as problem:
        await asyncio.shield(asyncio.gather(*(service.remove(engine, one) for one in made), return_exceptions=True))
        if isinstance(problem, Conflict):
            raise Refused(f"Somebody else makes replicas of it now: {problem.what}") from None
        raise


async def _fewer(session: ContainerSession, present: list[Replica], count: int) -> list[str]:
    """Remove so many of those that were made here, the newest first, this container last."""
    ours = [one for one in reversed(present) if one.made]
    ours.sort(key=lambda one: one.id == session.host.incarnation)
    if len(ours) < count:
        raise Refused(
            f"Only {len(ours)} of {len(present)} replicas were made by Watchkeeper; the others are not its to remove."
        )
    for one in ours[:count]:
        await service.remove(session.host.engine, one)
    return [one.name for one in ours[:count]]
