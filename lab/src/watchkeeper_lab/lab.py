"""One running lab: the shop and its services, visitors, a ledger, faults to inject and an oracle to judge."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from watchkeeper_lab import grounds
from watchkeeper_lab import instance as instances
from watchkeeper_lab.background import BESIDE, Background
from watchkeeper_lab.engine import Say
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.faults import BY_STACK, Site
from watchkeeper_lab.instance import DEFAULT_NAME, Instance
from watchkeeper_lab.ledger import Ledger, Write
from watchkeeper_lab.oracle import Facts, Judgement, Oracle
from watchkeeper_lab.reset import clear, restore, take_baseline
from watchkeeper_lab.scenario import scenario
from watchkeeper_lab.services import Ground, Services, ServiceState
from watchkeeper_lab.stack import SHOP, Stack
from watchkeeper_lab.visitors import Visitors

READY_SECONDS = 120.0


def quiet(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What `reset` found: the last judgement, and the acknowledged writes that were gone before it cleared up."""

    judgement: Judgement
    lost: tuple[Write, ...]


class Lab:
    """A lab that is up. Get one with `Lab.running` (up and down), or `Lab.up` and `Lab.attach`."""

    def __init__(self, instance: Instance, services: Services, redis: ServiceState | None) -> None:
        self.instance = instance
        self.services = services
        self.redis_runs_in = redis.where if redis else ""
        self.ledger = Ledger(instance.ledger_path)
        self.oracle = Oracle(instance, self.ledger, services)
        self.visitors = Visitors(instance)
        self.background = Background(instance)
        self.beside = Background(instance, BESIDE)
        self._as_it_was: Facts | None = None

    @property
    def compose_project(self) -> str:
        """The compose project, by which its containers are labelled."""
        return self.instance.project

    @property
    def ground(self) -> Ground:
        """What its services run on."""
        return self.instance.ground

    @property
    def redis_container(self) -> str:
        """The name of Redis' container."""
        return self.redis_runs_in

    @property
    def redis_port(self) -> int:
        """The loopback port of Redis."""
        return self.instance.ports["REDIS_PORT"]

    @property
    def shop_url(self) -> str:
        """The shop, through nginx; of another stack, what its visitors visit."""
        return self.instance.front_url

    @property
    def stack(self) -> Stack:
        """Which system it is."""
        return self.instance.stack

    @classmethod
    async def up(
        cls, name: str = DEFAULT_NAME, say: Say = quiet, ground: Ground | None = None, stack: Stack = SHOP
    ) -> "Lab":
        """Start a lab, or return the one of that name; it is healthy and has visitors when this returns.

        Without a `ground` its services run in containers where an engine can run, else as plain processes. Raises
        `LabError` where something is missing or does not come up.
        """
        known = instances.load(name)
        chosen = await grounds.choose(known, ground, say, stack)
        made = known or instances.create(name, chosen, stack)
        made.save()
        made = await grounds.start(made, say)
        lab = await cls._of(made)
        if lab is None:
            raise LabError(f"Lab `{name}` has no services.", "Try `watchkeeper lab down` and `watchkeeper lab up`.")
        await lab._until_healthy()
        await take_baseline(lab.site)
        if not lab.visitors.running():
            lab.visitors.start()
        return lab

    @classmethod
    async def attach(cls, name: str = DEFAULT_NAME) -> "Lab":
        """The lab of that name, which is already up; raises `BadInputError` where there is none."""
        made = instances.load(name)
        lab = await cls._of(made) if made else None
        if lab is None:
            others = [one.name for one in instances.load_all() if one.name != name]
            hint = f"Start it with `watchkeeper lab up --name {name}`."
            if others:
                hint = f"Labs that are up: {', '.join(others)}. {hint}"
            raise BadInputError(f"Lab `{name}` is not up.", hint)
        return lab

    @classmethod
    async def _of(cls, made: Instance) -> "Lab | None":
        """The lab of an instance; None where nothing of it is there (any more)."""
        services = grounds.services_of(made)
        states = await services.states()
        return cls(made, services, states.get(made.stack.redis)) if states else None

    @classmethod
    @asynccontextmanager
    async def running(
        cls, name: str = DEFAULT_NAME, say: Say = quiet, ground: Ground | None = None, stack: Stack = SHOP
    ) -> AsyncGenerator["Lab"]:
        """Start a lab of its own and take it down at the end, whatever happens.

        An engine that had to be started for it is stopped again too.
        """
        lab: Lab | None = None
        try:
            lab = await cls.up(name, say, ground, stack)
            yield lab
        finally:
            await asyncio.shield(lab.down() if lab else take_down(name))
            await asyncio.shield(grounds.release_engine())

    async def inject(self, fault: str) -> float:
        """Break something, or start a control; return the moment (Unix time) from which it was in effect.

        A name that is unknown, or left out on this ground, raises `BadInputError`.
        """
        self._as_it_was = None
        return await BY_STACK[self.stack.name][scenario(fault, self.ground, self.stack).name](self.site)

    async def ready(self) -> Judgement:
        """Healthy and as it was, for what comes next: where nothing was injected since the last `reset`, the
        oracle sees nothing wrong, and nothing was restarted, set or added, there is nothing to be undone."""
        if self._as_it_was is not None:
            seen = await self.oracle.judge()
            if seen.healthy and seen.untouched == self._as_it_was:
                return seen
        return (await self.reset()).judgement

    async def reset(self) -> Restored:
        """Make the lab healthy again, whatever was done to it. Idempotent. Raises `LabError` where it cannot.

        Acknowledged writes found lost are told in what is returned, once: later audits do not ask for them again.
        """
        await self.visitors.end(extra_only=True)
        await restore(self.site)
        found = await self.oracle.audit()
        self.ledger.removed("written_off", {write.key for write in found.lost})
        await clear(self.site)
        if not self.visitors.running():
            self.visitors.start()
        restored = Restored(await self._until_healthy(), found.lost)
        self._as_it_was = restored.judgement.untouched
        return restored

    async def down(self) -> None:
        """End visitors and background programs, and remove containers, networks, volumes, processes and files."""
        await self.visitors.end()
        await self.beside.end()
        self.ledger.close()
        await take_down(self.instance.name)

    async def _until_healthy(self) -> Judgement:
        """Wait for the oracle, and for the services' own health checks, which lag behind."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            seen = await self.oracle.judge()
            states = await self.services.states()
            waiting = [name for name, state in states.items() if state.health in {"starting", "unhealthy"}]
            if seen.healthy and not waiting:
                return seen
            if time.monotonic() > deadline or any(state.status == "exited" for state in states.values()):
                why = seen.reasons[0] if seen.reasons else f"the health check of {waiting[0]} does not pass"
                raise LabError(
                    f"Lab `{self.instance.name}` is not healthy: {why}.",
                    "Try `watchkeeper lab reset`; `watchkeeper lab down` and `watchkeeper lab up` make a new one.",
                )
            await asyncio.sleep(0.1 if seen.healthy else 0.5)  # probing costs a busy machine what it lacks

    async def _more_visitors(self, rate: float, seconds: float) -> None:
        self.visitors.start(rate=rate, seconds=seconds, extra=True)

    @property
    def site(self) -> Site:
        """What injectors may touch."""
        return Site(self.instance, self.ledger, self.services, self._more_visitors, self.background)


async def take_down(name: str) -> bool:
    """Take the lab of that name down, even a half-started one; False where there was nothing. Idempotent."""
    made = instances.load(instances.check_name(name))
    if made is not None:
        await Visitors(made).end()
        await Background(made).end()
        await Background(made, BESIDE).end()
    existed = await grounds.remove(name, made)
    if made is not None:
        made.forget()
    return existed
