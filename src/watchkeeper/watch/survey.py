"""Asks every host where it stands and whom it talks to, and remembers what that showed."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import TypeAdapter

from watchkeeper.domain import (
    Attachment,
    Conflict,
    Connector,
    Event,
    Health,
    HearsModels,
    Host,
    ListsClients,
    Network,
    Resource,
    now,
)
from watchkeeper.domain.dependency import Dependency
from watchkeeper.hosts import sockets
from watchkeeper.store import Store
from watchkeeper.watch.dependencies import Found, Place, distinct, infer
from watchkeeper.watch.fleet import Fleet
from watchkeeper.watch.watcher import Watcher

log = structlog.get_logger(__name__)
LASTS = timedelta(minutes=15)
"""An edge known from connections stands for so long after they were last seen: idle pools close theirs, and what is
down has none. While either end is in an incident it does not age."""
CLIENTS_EVERY = timedelta(seconds=30)
_KEEP_EVERY = timedelta(minutes=1)
_HOST_SECONDS = 1.5
_BEGIN_SECONDS = 5.0
_AT_ONCE = 32
"""Hosts asked at the same time."""
_KEY = "dependencies"
_KEPT = TypeAdapter(list[Dependency])
_LIVE = ("connections", "clients")

Key = tuple[str, str, str]
Member = tuple[Resource, Connector[Any]]


class Survey:
    """`look` asks, infers, and hands the edges to the fleet. `session` gives a resource's open session, or None where
    it is not to be asked now; `busy` tells what is in an incident; `surveyed` is called once the edges are in force."""

    def __init__(
        self,
        fleet: Fleet,
        store: Store,
        session: Callable[[str], Any],
        busy: Callable[[], set[str]],
        surveyed: Callable[[Mapping[str, Resource]], None] = lambda _: None,
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._session = session
        self._busy = busy
        self._surveyed = surveyed
        self._known: dict[Key, Dependency] = {}
        self._clients: dict[str, tuple[datetime, Sequence[str] | None]] = {}
        self._addresses: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._kept_at: datetime | None = None
        self._lock = asyncio.Lock()
        self.seconds = 0.0
        """How long the last look took."""

    async def begin(self) -> None:
        """Recall, and look once, so that the first alert finds its neighbours; but hold up the start for nobody."""
        try:
            async with asyncio.timeout(_BEGIN_SECONDS):
                await self.recall()
                await self.look()
        except Exception as problem:
            log.warning("dependencies are inferred later", problem=f"{type(problem).__name__}: {problem}")

    async def run(self, every: float) -> None:
        """Look for ever, beside discovery, which waits for nobody: a container that hangs delays nothing but this."""
        while True:
            await asyncio.sleep(every)  # connections have no events
            try:
                await self.look()
            except Exception:
                log.exception("dependencies could not be inferred")

    async def recall(self) -> None:
        """What was known before a restart: what is down now shows no connections."""
        try:
            kept = _KEPT.validate_python(await self._store.setting(_KEY, []))
        except ValueError:
            kept = []  # of another version
        self._known = {edge.key: edge for edge in kept}
        self._fleet.infer(self._in_sight(), ())

    async def look(self) -> None:
        """Ask all hosts, at the same time; one that hangs or fails keeps what was known of it."""
        async with self._lock:
            began = asyncio.get_running_loop().time()
            asked = await self._places()
            places = [place for place, _ in asked]
            own = await asyncio.to_thread(_own_network)
            former = self._remembered(places)
            found, unknown = await asyncio.to_thread(infer, places, own, former)  # of a thousand it takes a while
            silent = {r.id for place, answered in asked if not answered for r in place.resources}
            before = {edge.edge for edge in self._in_sight()}
            self._learn(found, silent)
            self._fleet.infer(self._in_sight(), distinct(unknown))
            self._surveyed(self._fleet.resources)
            await self._keep(before)
            self.seconds = asyncio.get_running_loop().time() - began

    # Asking ------------------------------------------------------------------------------------------------------

    def _groups(self) -> list[tuple[Host | None, list[Member]]]:
        """Hosts with what is watched on them; what has no host by itself."""
        groups: dict[str, tuple[Host | None, list[Member]]] = {}
        for key, (resource, host, connector) in self._fleet.found.items():
            if isinstance(connector, HearsModels):
                continue  # it has no place of its own: its processes are in what it runs on
            of = f"host {host.incarnation}" if host is not None else key
            groups.setdefault(of, (host, []))[1].append((resource, connector))
        return list(groups.values())

    async def _places(self) -> list[tuple[Place, bool]]:
        """All of them, so many asked at the same time; each after a turn of everybody else, for most answer without
        waiting for anything, and a thousand at a stretch would hold up all the rest."""
        todo = iter(self._groups())
        asked: list[tuple[Place, bool]] = []

        async def ask() -> None:
            for host, members in todo:
                asked.append(await self._place(host, members))
                await asyncio.sleep(0)

        await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))
        return asked

    async def _place(self, host: Host | None, members: Sequence[Member]) -> tuple[Place, bool]:
        """The place, and whether it answered."""
        resources = tuple(resource for resource, _ in members)
        clients = await self._clients_of(members)
        try:
            async with asyncio.timeout(_HOST_SECONDS):
                if host is None:
                    return Place(resources, await _addressed(resources[0]), clients=clients), True
                network, variables = await host.network(), await host.environment()
                return Place(resources, network, variables, clients), True
        except Exception as problem:
            why = "no answer in time" if isinstance(problem, TimeoutError) else f"{problem}".strip().rstrip(".")
            return Place(resources, Network(unknown=why or type(problem).__name__), clients=clients), False

    async def _clients_of(self, members: Sequence[Member]) -> Mapping[str, Sequence[str]]:
        """By resource: who its server says its clients are; asked for seldom."""
        found: dict[str, Sequence[str]] = {}
        for resource, connector in members:
            if not isinstance(connector, ListsClients):
                continue
            at, peers = self._clients.get(resource.id, (None, None))
            session = self._session(resource.id)
            if session is not None and (at is None or now() - at >= CLIENTS_EVERY):
                try:
                    async with asyncio.timeout(_HOST_SECONDS):
                        peers = await connector.clients(session)
                except Exception as problem:
                    log.debug("clients could not be listed", resource=resource.id, problem=str(problem))
                    peers = None
                self._clients[resource.id] = (now(), peers)
            if peers is not None:
                found[resource.id] = peers
        return found

    # Remembering -------------------------------------------------------------------------------------------------

    def _remembered(self, places: Sequence[Place]) -> dict[tuple[str, str], str]:
        """Who had which address until a while ago: clients go on to ask there for what is stopped, or stands elsewhere
        since its restart."""
        at = now()
        for place in places:
            for attached in place.network.attachments:
                for address in attached.addresses if place.resources else ():
                    self._addresses[attached.network, address] = (place.resources[0].id, at)
        self._addresses = {key: known for key, known in self._addresses.items() if at - known[1] < LASTS}
        return {key: resource for key, (resource, _) in self._addresses.items()}

    def _learn(self, found: Sequence[Found], silent: set[str]) -> None:
        at, busy = now(), self._busy()
        present = {(edge.source, edge.target, edge.how) for edge in found}
        kept = {
            key: edge
            for key, edge in self._known.items()
            if key in present
            or (edge.how in _LIVE and (at - edge.seen_at < LASTS or edge.source in busy or edge.target in busy))
            or (edge.how not in _LIVE and edge.source in silent)
        }
        for edge in found:
            known = kept.get((edge.source, edge.target, edge.how))
            since = known.since if known else at
            kept[edge.source, edge.target, edge.how] = Dependency(
                edge.source, edge.target, edge.how, edge.evidence, since, at
            )
        self._known = kept

    def _in_sight(self) -> list[Dependency]:
        """Those of which both ends are watched now."""
        there = self._fleet.found
        return [edge for _, edge in sorted(self._known.items()) if edge.source in there and edge.target in there]

    async def _keep(self, before: set[tuple[str, str]]) -> None:
        """Write down what is known, and tell of edges that came and went."""
        at, present = now(), {edge.edge: edge for edge in self._in_sight()}
        came, went = present.keys() - before, before - present.keys()
        if not (came or went or self._kept_at is None or at - self._kept_at >= _KEEP_EVERY):
            return
        self._kept_at = at
        resources = self._fleet.resources
        async with self._store.transaction() as transaction:
            await transaction.set(_KEY, _KEPT.dump_python(list(self._known.values()), mode="json"))
            for source, target in sorted(came | went):
                if source not in resources or target not in resources:
                    continue  # what was removed is told of anyway
                known = present.get((source, target))
                verb, why = ("needs", known.evidence) if known else ("does not need", "nothing shows it any more")
                text = f"{resources[source].slug} {verb} {resources[target].slug}: {why}"
                kind = "dependency.found" if known else "dependency.lost"
                await transaction.emit(Event(kind, source, text, at, resource=source, data={"target": target}))
                await transaction.put_resource(resources[source])


def asking(watchers: Mapping[str, Watcher]) -> Callable[[str], Any]:
    """The session with what is well; None where asking it more would only disturb."""

    def session(resource: str) -> Any:
        watcher = watchers.get(resource)
        if watcher is None or watcher.health is not Health.HEALTHY or watcher.alerts:
            return None
        with suppress(Conflict):  # what is only seen has none
            return watcher.session

    return session


def renewing(watchers: Mapping[str, Watcher]) -> Callable[[Mapping[str, Resource]], None]:
    """Gives each watcher its resource with the edges in force."""

    def renew(resources: Mapping[str, Resource]) -> None:
        for key, resource in resources.items():
            if key in watchers:
                watchers[key].resource = resource

    return renew


async def _addressed(resource: Resource) -> Network:
    """Where something without a host is: at the URL it was named with."""
    parts = urlsplit(str(resource.settings.get("url") or ""))
    if not parts.hostname:
        return Network(unknown="it has no host here")
    ports = frozenset(resource.ports)
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(parts.hostname, None)
    addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
    if any(address.startswith("127.") or address == "::1" for address in addresses):
        return Network(namespace=await asyncio.to_thread(_own_namespace), listening=ports)
    return Network(attachments=(Attachment("", addresses, (parts.hostname,)),), listening=ports)


def _own_namespace() -> str:
    try:
        return sockets.namespace(os.getpid())
    except OSError:
        return ""


def _own_network() -> Network:
    """This process' own connections, which are never an edge, and where it listens."""
    try:
        found = sockets.of_processes([os.getpid()])
        listening, connections = sockets.listening(found), sockets.connections(found)
        return Network(namespace=_own_namespace(), listening=listening, connections=connections)
    except OSError:
        return Network()
