"""Brings a lab back to how it was when it came up, whatever was done to it."""

import asyncio
import contextlib
import json
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from redis.exceptions import RedisError, ResponseError

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site
from watchkeeper_lab.fill import take_out
from watchkeeper_lab.redis_link import RedisLink
from watchkeeper_lab.services import Services, ServiceState

SETTINGS = ("maxmemory", "maxmemory-policy", "maxclients", "timeout", "appendonly", "appendfsync", "maxmemory-clients")
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """How Redis was set up when the lab came up: its settings, and its memory limit in bytes, 0 for none."""

    memory_limit: int
    settings: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> "Baseline":
        """Read it from the lab's folder."""
        return cls(**json.loads((folder / "baseline.json").read_text()))


async def take_baseline(site: Site) -> None:
    """Write down how Redis is set up, once in the life of a lab."""
    path = site.instance.folder / "baseline.json"
    if path.exists():
        return
    state = (await site.services.states())["redis"]
    async with site.redis() as link:
        settings = {name: await link.config(name) for name in SETTINGS}
    path.write_text(json.dumps(asdict(Baseline(state.memory_limit, settings)), indent=2))


async def restore(site: Site, expected: Collection[str], baseline: Baseline) -> None:
    """Undo everything: the expected services run and no others, limits and settings are as at the start."""
    state = (await _run_all(site.services, expected))["redis"]
    if state.memory_limit != baseline.memory_limit:
        await site.services.limit_memory("redis", baseline.memory_limit)
    await _close_leaked(site)
    await _until_redis_answers(site)
    async with site.redis(timeout=30.0) as link:
        for name, value in baseline.settings.items():
            if await link.config(name) != value:
                await link.send("CONFIG", "SET", name, value)


async def clear(site: Site) -> None:
    """Take out what the lab itself put into Redis."""
    async with site.redis(timeout=30.0) as link:
        if await take_out(link, site.ledger):
            await _compact(link)


async def _run_all(services: Services, expected: Collection[str]) -> dict[str, ServiceState]:
    states = await services.states()
    if gone := [service for service in expected if service not in states]:
        raise LabError(
            f"{gone[0]} is gone: somebody removed it.",
            "Start a new lab: `watchkeeper lab down`, `watchkeeper lab up`.",
        )
    for service, state in states.items():
        if state.extra:
            await services.remove(service)
        elif state.paused:
            await services.unpause(service)
        elif not state.running:
            await services.start(service)
    return states


async def _close_leaked(site: Site) -> None:
    """Close what was leaked. The replica may still be starting, so it is asked until it answers."""
    deadline = time.monotonic() + ANSWER_SECONDS
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        while True:
            try:
                (await client.delete(await site.leaking_url())).raise_for_status()
                return
            except httpx.HTTPError as error:
                if time.monotonic() > deadline:
                    raise LabError(f"The shop does not answer: {error!r}.", "Its log may tell more.") from error
            await asyncio.sleep(0.1)


async def _until_redis_answers(site: Site) -> None:
    """Wait until Redis serves commands, ending a script that blocks it; the harsh way where there is no other."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            async with site.redis(timeout=1.0) as link:
                await link.send("PING")
            return
        except ResponseError as error:
            if str(error).startswith(("BUSY", "Redis is busy")):
                await _kill_script(site)
        except (RedisError, OSError):
            pass
        await asyncio.sleep(0.1)
    await site.services.restart("redis")
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            async with site.redis(timeout=1.0) as link:
                await link.send("PING")
            return
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise LabError(f"Redis does not answer: {error!r}.", "Its log may tell more.") from error
        await asyncio.sleep(0.1)


async def _kill_script(site: Site) -> None:
    try:
        async with site.redis(timeout=1.0) as link:
            await link.send("SCRIPT", "KILL")
    except (RedisError, OSError):
        return


async def _compact(link: RedisLink) -> None:
    """Rewrite the append-only file without what was taken out, and wait for it: the next fault starts small."""
    with contextlib.suppress(ResponseError):  # one may be under way already
        await link.send("BGREWRITEAOF")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        info = await link.info()
        if not int(info["aof_rewrite_in_progress"]) and not int(info["aof_rewrite_scheduled"]):
            return
        await asyncio.sleep(0.05)
