"""Everything put together: the one executor, which holds the lease."""

import asyncio
import getpass
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

from watchkeeper.act import Act, launched
from watchkeeper.connectors import Registry
from watchkeeper.decide import Decide, Policy
from watchkeeper.domain import ConfigurationError, Event, Fix, Principal, Reading, now
from watchkeeper.fixing import Fixing
from watchkeeper.hosts import Engine
from watchkeeper.incidents import Desk
from watchkeeper.loop import Loop
from watchkeeper.notify import Silences, Webhook
from watchkeeper.score import Scorekeeper
from watchkeeper.server.machines import machines_of
from watchkeeper.settings import Settings, secret
from watchkeeper.store import Lease, LeaseTaken, Masker, Store, new_id
from watchkeeper.telemetry import Metrics
from watchkeeper.watch import Noticer, Watch

log = structlog.get_logger(__name__)
RENEW = 3.0
"""Seconds between renewals of the lease."""


@dataclass
class Runtime:
    """What the API hands out and the command `up` runs."""

    settings: Settings
    registry: Registry
    store: Store
    watch: Watch
    decide: Decide
    desk: Desk
    loop: Loop
    metrics: Metrics
    operator: Principal
    token: str
    silences: Silences
    started_at: datetime = field(default_factory=now)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the lease was lost: the process must end at once."""
    unwell: tuple[str, ...] = ()
    """What the last beat of the pulse found wrong."""


@asynccontextmanager
async def running(settings: Settings, registry: Registry | None = None) -> AsyncGenerator[Runtime]:
    """The whole system, started and stopped. Raises ConfigurationError, LeaseTaken."""
    registry = registry or Registry.installed()
    if settings.runbooks is not None:
        registry.extend(settings.runbooks)
    policy = Policy(settings.policy, settings.mode)
    _private(settings)
    masker = Masker()
    for said in settings.resources:
        if said.password:
            masker.learn(secret(said.password))
    hook = settings.notify.webhook
    url = secret(hook.url) if hook and hook.url.startswith(("env:", "file:")) else hook.url if hook else None
    if url:
        masker.learn(url)
    metrics = Metrics()
    database = settings.database
    if password := urlsplit(database).password:
        masker.learn(unquote(password))
    async with Store.open(database, masker) as store:
        lease = Lease("executor", new_id("exec"))
        await store.take(lease)
        try:
            store.listen(lambda event: metrics.events.labels(event.kind).inc())
            api = f"http://{settings.server.host}:{settings.server.port}"
            silences = Silences(store)
            webhook = Webhook(url, api, store, silences) if url else None
            if webhook is not None:
                await webhook.start()
            silences.start()
            async with _assembled(settings, registry, policy, store, metrics, lease, silences) as runtime:
                yield runtime
            await silences.stop()
            if webhook is not None:
                await webhook.stop()
        finally:
            await store.release(lease)


@asynccontextmanager
async def _assembled(
    settings: Settings,
    registry: Registry,
    policy: Policy,
    store: Store,
    metrics: Metrics,
    lease: Lease,
    silences: Silences,
) -> AsyncGenerator[Runtime]:
    desk = Desk(store)
    decide = Decide(registry, policy, store, settings.maintenance)
    async with Engine() as engine, AsyncExitStack() as stack:
        machines = [await stack.enter_async_context(machine) for machine in machines_of(settings.hosts)]
        watch = Watch(registry, settings, store, [engine, *machines], desk.alerted, desk.vanished)
        noticer = Noticer(store, lambda: watch.fleet.resources)
        watch.on_reading = lambda reading: (_measured(metrics, reading), noticer.hear(reading))
        desk.watch = watch
        desk.score = score = Scorekeeper(
            store, watch, Decide(registry, Policy(settings.policy, "auto"), store, settings.maintenance), settings.mode
        )
        await noticer.start()
        await watch.start()
        await score.start()
        try:
            async with launched(_workflows(settings), store, watch, decide) as executor:
                act = Act(store, watch, executor, settings.policy.fix_deadline)
                approval_life = timedelta(minutes=settings.policy.approval_minutes)
                loop = Loop(store, watch, decide, desk, Fixing(store, watch, decide, act, desk, approval_life))
                desk.heal = loop.heal
                runtime = Runtime(
                    settings, registry, store, watch, decide, desk, loop, metrics, *_operator(settings.data), silences
                )
                await store.emit(Event("server.started", lease.holder, f"mode {settings.mode}", now()))
                await desk.resume()
                for fix in await store.select(Fix, status=("running", "executed", "undoing"), incident=None):
                    loop.resume_alone(fix)
                tasks = [
                    asyncio.create_task(_hold(store, lease, runtime.lost), name="lease"),
                    asyncio.create_task(metrics.measure_lag(), name="lag"),
                ]
                try:
                    yield runtime
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    await desk.stop()
                    await loop.stop()
        finally:
            await watch.stop()
            await noticer.stop()
            await score.stop()


def _measured(metrics: Metrics, reading: Reading) -> None:
    metrics.looked(reading.resource.split("/")[2], reading.seconds, ok=reading.ok)


async def _hold(store: Store, lease: Lease, lost: asyncio.Event) -> None:
    """Renew the lease; when it was taken by another, tell."""
    while True:
        await asyncio.sleep(RENEW)  # a lease is kept by the clock
        try:
            await store.take(lease)
        except LeaseTaken as problem:
            log.error("the lease was lost: this process ends", problem=str(problem))
            lost.set()
            return
        except Exception as problem:
            log.warning("the lease could not be renewed; it is tried again", problem=str(problem))


def _private(settings: Settings) -> None:
    data = settings.data
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(data, os.W_OK):
            raise PermissionError(13, "permission denied")
        names = () if settings.store else ("watchkeeper.db", "workflows.db")
        for name in names:  # what SQLite adds beside them takes over their mode
            (data / name).touch(mode=0o600)
            (data / name).chmod(0o600)
    except OSError as problem:
        raise ConfigurationError(
            f"The data directory {data} cannot be written: {problem.strerror}.", "Choose another: --data DIR."
        ) from None


def _workflows(settings: Settings) -> str:
    """Where DBOS keeps what is being carried out."""
    return settings.database if settings.store else f"sqlite:///{settings.data / 'workflows.db'}"


def _operator(data: Path) -> tuple[Principal, str]:
    """The operator's token, readable by its user alone; the command line reads it from there."""
    path = data / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    path.chmod(0o600)
    return Principal("person", getpass.getuser(), "operator"), path.read_text().strip()
