"""Everything put together."""

import asyncio
import getpass
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import structlog

from watchkeeper.act import Act, launched
from watchkeeper.connectors import Registry
from watchkeeper.decide import Access, Decide, Policy, Seat
from watchkeeper.domain import ConfigurationError, Event, Principal, Reading, now
from watchkeeper.domain.restraint import moment
from watchkeeper.domain.spoken import spoken
from watchkeeper.domain.unwatched import SHORTEST, STARTED
from watchkeeper.fixing import Fixing
from watchkeeper.hosts import Engine, Kept, Wholes
from watchkeeper.incidents import Desk
from watchkeeper.loop import Loop
from watchkeeper.notify import Notifier, Silences
from watchkeeper.predictions import Predictions, Shelf
from watchkeeper.resting import remembering, waking
from watchkeeper.score import Scorekeeper
from watchkeeper.server.around import Around
from watchkeeper.server.learning import Learner
from watchkeeper.server.live import Events, Fanout, Lines, Told, ToldLine
from watchkeeper.server.machines import machines_of
from watchkeeper.server.sharing import Sharing
from watchkeeper.server.sharing import place as _place
from watchkeeper.settings import Settings, secret
from watchkeeper.store import Masker, Store
from watchkeeper.store.scanning import Scanner
from watchkeeper.telemetry import Metrics
from watchkeeper.telemetry.traces import tracing
from watchkeeper.watch import Noticer, Outside, Turns, Unseen, Watch, leaving

log = structlog.get_logger(__name__)
WORKFLOWS = "workflows.db"
"""Where DBOS keeps what is being carried out, unless the store is PostgreSQL."""


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
    notifier: Notifier
    sharing: Sharing
    outside: Outside
    predictions: Predictions
    live: Fanout[Told]
    live_logs: Fanout[ToldLine]
    started_at: datetime = field(default_factory=now)
    access: Access = field(default_factory=lambda: Access(None, {}))
    """Who may what, besides what policy says of steps."""
    unwell: tuple[str, ...] = ()
    """What the last beat of the pulse found wrong."""

    @property
    def lost(self) -> asyncio.Event:
        """Set when the lease was lost: the process must end at once."""
        return self.sharing.lost


@asynccontextmanager
async def running(settings: Settings, registry: Registry | None = None) -> AsyncGenerator[Runtime]:
    """The whole system, started and stopped. Raises ConfigurationError, LeaseTaken."""
    registry = registry or Registry.installed()
    registry.measure(settings.resources)
    if settings.runbooks is not None:
        registry.extend(settings.runbooks)
    registry.leave_out(settings.without_runbooks)
    policy = Policy(settings.policy, settings.mode)
    _private(settings)
    masker = Masker()
    for said in settings.resources:
        if said.password:
            masker.learn(secret(said.password))
    metrics = Metrics()
    database = settings.database
    if password := urlsplit(database).password:
        masker.learn(unquote(password))
    address = f"http{'s' if settings.server.tls else ''}://{settings.server.host}:{settings.server.port}"
    async with Store.open(database, masker) as store, _place(store, address) as sharing:
        store.listen(lambda event: metrics.events.labels(event.kind).inc())
        silences = Silences(store)
        outside = settings.server.public_url
        notifier = Notifier(settings.notify, outside or address, store, silences, metrics, public=outside is not None)
        await notifier.start()
        silences.start()
        async with _assembled(settings, registry, policy, store, metrics, sharing, silences, notifier) as runtime:
            yield runtime
        await silences.stop()
        await notifier.stop()


@asynccontextmanager
async def _assembled(
    settings: Settings,
    registry: Registry,
    policy: Policy,
    store: Store,
    metrics: Metrics,
    sharing: Sharing,
    silences: Silences,
    notifier: Notifier,
) -> AsyncGenerator[Runtime]:
    desk = Desk(store)
    seat = Seat(timedelta(seconds=settings.mcp.wait), settings.mcp.then == "runbooks")
    planner = seat if settings.planner == "agents" else None
    decide = Decide(registry, policy, store, settings.maintenance, planner, settings.planner, settings.llm)
    if decide.llm is not None:
        await decide.llm.load()
    silences.windows = decide.windows.standing
    predictions = _predictions(settings, store)
    registry.hear(predictions)
    learner = Learner(store, decide)
    async with Engine(kept=Kept(settings.data / "kept")) as engine, AsyncExitStack() as stack:
        await stack.enter_async_context(predictions.running())
        known = machines_of(settings.hosts, settings.data / "processes")
        machines = [await stack.enter_async_context(machine) for machine in known]
        watch = Watch(registry, settings, store, [engine, *machines, Wholes(machines)], desk.alerted, desk.vanished)
        noticer = Noticer(store, lambda: watch.fleet.resources)
        watch.on_reading = lambda reading: (_measured(metrics, reading), noticer.hear(reading))
        live, live_logs = _feeds(settings, store, watch, metrics)
        turns = Turns(store, lambda event, of: live.tell(Told(event, of.id, of.slug)))
        watch.turned = turns.turned
        turns.also = Unseen(watch.watchers, turns.tell).turned
        noticer.noticed = waking(store, watch, desk)
        desk.watch = watch
        desk.score = score = Scorekeeper(
            store, watch, Decide(registry, Policy(settings.policy, "auto"), store, settings.maintenance), settings.mode
        )
        await sharing.bind(watch, desk)
        await noticer.start()
        turns.start()
        await learner.start()
        await watch.start()
        await sharing.turn()
        await score.start()
        try:
            async with launched(_workflows(settings), store, watch, decide, sharing.fence) as executor:
                if not settings.store:
                    store.files.keep(settings.data / WORKFLOWS)
                act = Act(store, watch, executor, settings.policy.fix_deadline)
                approval_life = timedelta(minutes=settings.policy.approval_minutes)
                loop = Loop(store, watch, decide, desk, Fixing(store, watch, decide, act, desk, approval_life))
                desk.heal = remembering(loop.heal, store, watch, desk)
                if decide.llm is not None:
                    if decide.llm.settings.traces:
                        scanner = Scanner(store.masker, emails=decide.llm.settings.mask_email)
                        decide.llm.traces = traces = tracing(decide.llm.settings.traces, scanner.text)
                        stack.push_async_callback(asyncio.to_thread, traces.shutdown)
                    decide.llm.around = Around(store, watch, decide, loop)
                runtime = Runtime(
                    settings,
                    registry,
                    store,
                    watch,
                    decide,
                    desk,
                    loop,
                    metrics,
                    *_operator(settings.data),
                    silences,
                    notifier,
                    sharing,
                    Outside(store, watch),
                    predictions,
                    live,
                    live_logs,
                )
                mode = await decide.modes.overall()
                said = f"mode {mode}" + (f"; the configuration says {settings.mode}" if mode != settings.mode else "")
                if decide.amendments.standing is not None:
                    said += f"; policy was changed while it ran: {decide.amendments.standing.said}"
                await store.emit(_started(sharing, said))
                if not store.shared:  # another executor may look at what is not found here
                    await leaving.noted(store, watch.fleet.resources, now())
                await sharing.begin(loop)
                lag = asyncio.create_task(metrics.measure_lag(), name="lag")
                try:
                    yield runtime
                finally:
                    lag.cancel()
                    for feed in (live, live_logs):
                        await feed.stop("the server ends")
                    await sharing.end()
                    await asyncio.gather(lag, return_exceptions=True)
                    await desk.stop()
                    await loop.stop()
        finally:
            await watch.stop()
            await turns.stop()
            await noticer.stop()
            await learner.stop()
            await score.stop()


def _started(sharing: Sharing, said: str) -> Event:
    """That it watches from now on, and since when nobody did."""
    at, since = now(), sharing.watched_until
    if since is None or at - since < SHORTEST:
        return Event(STARTED, sharing.name, said, at)
    text = f"{said}; nobody watched for {spoken((at - since).total_seconds())}, since {moment(since)}"
    return Event(STARTED, sharing.name, text, at, data={"away_since": since.isoformat()})


def _feeds(settings: Settings, store: Store, watch: Watch, metrics: Metrics) -> tuple[Fanout[Told], Fanout[ToldLine]]:
    def slug_of(resource: str) -> str | None:
        known = watch.fleet.resources.get(resource)
        return known.slug if known else None

    limits = settings.server.limits
    most, room, cut = limits.live_clients, limits.live_buffer, metrics.live_cut.inc
    return (
        Fanout(Events(store, slug_of), most, room, lambda _: cut()),
        Fanout(Lines(store), most, room, lambda _: cut()),
    )


def _predictions(settings: Settings, store: Store) -> Predictions:
    said = settings.predictions
    shelf = Shelf(settings.data / "predictions", said.records_days, said.records_bytes)
    return Predictions(store, timedelta(days=said.keep_days), shelf)


def _measured(metrics: Metrics, reading: Reading) -> None:
    metrics.looked(reading.resource.split("/")[2], reading.seconds, ok=reading.ok)


def _private(settings: Settings) -> None:
    data = settings.data
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(data, os.W_OK):
            raise PermissionError(13, "permission denied")
        names = () if settings.store else ("watchkeeper.db", WORKFLOWS)
        for name in names:  # what SQLite adds beside them takes over their mode
            (data / name).touch(mode=0o600)
            (data / name).chmod(0o600)
    except OSError as problem:
        raise ConfigurationError(
            f"The data directory {data} cannot be written: {problem.strerror}.", "Choose another: --data DIR."
        ) from None


def _workflows(settings: Settings) -> str:
    """Where DBOS keeps what is being carried out."""
    return (
        settings.database
        if settings.store
        else f"sqlite:///file:{quote(str(settings.data / WORKFLOWS))}?mode=rw&uri=true"
    )


def _operator(data: Path) -> tuple[Principal, str]:
    """The operator's token, readable by its user alone; the command line reads it from there."""
    path = data / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    path.chmod(0o600)
    return Principal("person", getpass.getuser(), "admin"), path.read_text().strip()
