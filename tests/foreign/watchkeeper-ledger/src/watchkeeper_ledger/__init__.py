"""A connector of somebody else's: a ledger whose `fault` key says that it is broken.

Faults: `broken` is mended by `ledger_mend`; `stubborn` by nothing `ledger_try` does, which is undone, and then by
`ledger_mend`; `untold` by `ledger_blind`, which keeps no state, so that nothing can tell whether it was done; `choked`
by `ledger_unchoke`, and nobody else gets in before; `both` by `ledger_try` and then `ledger_mend`, one plan; `barred`
by nothing, for `ledger_barred` refuses. Several at once are written one after the other.

Where the key `hush` is set, `ledger_mend` fails, whatever was wrong is gone, and after two looks there is no data.

Every act is counted in Redis (`done:<tool>`), so a test sees how often it really happened. Where the file named by
`LEDGER_DIE` holds `<tool>:<moment>` (`before` or `after` the side effect), the process kills itself there, once;
where it holds `<tool>:<moment> stop`, it asks itself to end there (SIGTERM), once, and goes no further; with
`<tool>:<moment> still` it stands still there (SIGSTOP), once, until somebody wakes it.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from watchkeeper.connectors import define
from watchkeeper.domain import Effect, Host, Level, Probe, Reading, Refused, Resource, now, tool

HERE = Path(__file__).parent


@dataclass
class Ledger:
    redis: Redis
    resource: Resource


def asked(moment: str) -> bool:
    """Whether the test asked for something at this moment, for the first time."""
    path = os.environ.get("LEDGER_DIE")
    if path and Path(path).exists() and Path(path).read_text().strip() == moment:
        Path(path).unlink()
        return True
    return False


def die(moment: str) -> None:
    """Kill this very process if the test asked for it."""
    if asked(moment):
        os.kill(os.getpid(), signal.SIGKILL)


async def stopped(moment: str) -> None:
    """Ask this very process to end, in the middle of what it does, if the test asked for it."""
    if asked(f"{moment} stop"):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()


async def stood_still(moment: str) -> None:
    """Stop this very process before its next breath if the test asked for it."""
    if asked(f"{moment} still"):
        os.kill(os.getpid(), signal.SIGSTOP)
        await asyncio.sleep(0)  # the breath


async def fault(ledger: Ledger) -> str:
    return await ledger.redis.get("fault") or "none"


async def marks(ledger: Ledger) -> str:
    return await ledger.redis.get("mark") or ""


@tool(Effect.REVERSIBLE, state=fault, settle=1.0, by_hand="redis-cli del fault")
async def ledger_mend(ledger: Ledger) -> str:
    """Mend the ledger."""
    if await ledger.redis.getdel("hush"):
        await ledger.redis.mset({"fault": "none", "looks": 2})
        raise ConnectionError("the connection broke")
    if "choked" in await fault(ledger):
        await ledger.redis.incr("refused:ledger_mend")
        raise ConnectionError("no connection is left")
    die("ledger_mend:before")
    await stopped("ledger_mend:before")
    await stood_still("ledger_mend:before")
    async with ledger.redis.pipeline() as at_once:  # counted with its effect, or a kill between them looks like two
        await at_once.incr("done:ledger_mend").delete("fault").execute()
    die("ledger_mend:after")
    await stopped("ledger_mend:after")
    return "mended"


@tool(Effect.REVERSIBLE, state=marks, settle=0.5, by_hand="redis-cli set mark tried")
async def ledger_try(ledger: Ledger) -> None:
    """Try something that does not help; it leaves a mark, which is its undo."""
    die("ledger_try:before")
    async with ledger.redis.pipeline() as at_once:
        await at_once.incr("done:ledger_try").set("mark", "tried").execute()
    die("ledger_try:after")


@ledger_try.undo
async def take_mark_back(ledger: Ledger, before: str) -> None:
    die("undo:before")
    async with ledger.redis.pipeline() as at_once:
        await at_once.incr("done:undo").set("mark", before).execute()
    die("undo:after")


@tool(Effect.REVERSIBLE, settle=1.0, by_hand="redis-cli del fault")
async def ledger_blind(ledger: Ledger) -> None:
    """Mend it without a state that could tell whether it was done."""
    die("ledger_blind:before")
    await ledger.redis.incr("done:ledger_blind")
    die("ledger_blind:middle")
    await ledger.redis.delete("fault")
    die("ledger_blind:after")


@tool(Effect.REVERSIBLE, state=fault, settle=1.0, by_hand="redis-cli set fault broken")
async def ledger_unchoke(ledger: Ledger) -> None:
    """Let others in again."""
    await ledger.redis.set("fault", (await fault(ledger)).replace("choked", "").strip() or "none")


@tool(Effect.REVERSIBLE, state=fault, settle=0.5, by_hand="redis-cli del fault")
async def ledger_barred(ledger: Ledger) -> None:
    """Find only at the last moment that it must not be done."""
    raise Refused("the books are sealed")


FAULTS = ("broken", "stubborn", "untold", "choked", "both", "barred")


class LedgerConnector:
    kind = "ledger"
    metric = "broken"
    sample = Reading("ledger", now(), 0.0, dict.fromkeys(FAULTS, 0.0), {}, "fine")
    tools = (ledger_mend, ledger_try, ledger_blind, ledger_unchoke, ledger_barred)
    rules, runbooks = define(HERE, kind=kind, sample=sample, tools=tools)

    async def discover(self, hosts: Sequence[Host], settings: Mapping[str, Any]) -> AsyncIterator[Resource]:
        for said in settings["resources"]:
            environment = said["environment"] or "production"
            name = said["name"]
            yield Resource(
                f"local/{environment}/ledger/{name}", name, may_act=bool(said["act"]), settings={"url": said["url"]}
            )

    @asynccontextmanager
    async def connect(self, resource: Resource, host: Host | None) -> AsyncGenerator[Ledger]:
        redis = Redis.from_url(resource.settings["url"], decode_responses=True, socket_timeout=1.0)
        try:
            yield Ledger(redis, resource)
        finally:
            await redis.aclose()

    async def read(self, session: Ledger, last: Reading | None) -> Reading:
        said = await fault(session)
        if await session.redis.exists("looks") and await session.redis.decr("looks") < 0:
            raise ConnectionError("nobody is let in")
        known = {name: float(name in said.split()) for name in FAULTS}
        return Reading(session.resource.id, now(), 0.0, known, {}, "fine" if said == "none" else said)

    async def probe(self, session: Ledger) -> Probe:
        began = now()
        said = await fault(session)
        return Probe(
            session.resource.id, began, said == "none", 0.0, "the ledger is whole", None if said == "none" else said
        )

    def level(self, line: str) -> Level | None:
        return None


connector = LedgerConnector()
