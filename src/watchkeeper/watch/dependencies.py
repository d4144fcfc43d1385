"""What needs what, from where hosts stand on the network and whom they talk to. Pure: facts in, edges out.

Who has the edge: the container (or other carrier) of the client, for what runs in it opened the connection, and its
service runs on it: the path goes on through `runs_on`. To whom: the service that listens on that port, else the
container. So what fails in a store explains its clients' containers, and through them their services.
"""

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from watchkeeper.domain import Address, Network, Resource
from watchkeeper.domain.dependency import How, Unknown
from watchkeeper.hosts.mentions import PORTS, Mention, mentions

EPHEMERAL = 1024
"""Ports from here on may be those of a client's end."""
_WEB = ("http", "https")
"""Images come with addresses of the web in their environment that nobody talks to; who does is seen by connections."""
_SHOWN = 3
"""Addresses named in one sentence; how many more there are is said."""


@dataclass(frozen=True, slots=True)
class Place:
    """One host, and what is watched there; or a resource without a host, at the address it was named with."""

    resources: tuple[Resource, ...]
    network: Network
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """The environment of its main process. Secrets among them."""
    clients: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """By resource: the IP addresses of the clients that its server lists, once for each connection, without ours."""

    @property
    def source(self) -> Resource | None:
        """What has the edges of its processes: what carries the others, else the only one; None where it may be any."""
        carried = [r for r in self.resources if r.runs_on]
        carriers = [r for r in self.resources if not r.runs_on]
        if len(carriers) == 1:
            return carriers[0]
        return carried[0] if len(carried) == 1 and not carriers else None

    def target(self, port: int | None) -> Resource | None:
        """What is there at that port: the service that listens on it, else what carries it."""
        for resource in self.resources:
            if port is not None and port in resource.ports:
                return resource
        services = [r for r in self.resources if r.runs_on] or list(self.resources)
        if len(services) == 1 and (port is None or not services[0].ports):
            return services[0]
        return self.source


@dataclass(frozen=True, slots=True)
class Found:
    """One inferred edge, known in one way."""

    source: str
    target: str
    how: How
    evidence: str


Former = Mapping[tuple[str, str], str]
"""Network and address → the resource that had it until a while ago: what is stopped has none, and then another."""


def infer(
    places: Sequence[Place], own: Network | None = None, former: Former | None = None
) -> tuple[list[Found], list[Unknown]]:
    """The edges these facts show, and what they cannot show. `own`: the network of this very process, whose
    connections are never an edge."""
    return _Atlas(places, own or Network(), former or {}).infer()


@dataclass(frozen=True, slots=True)
class _Reached:
    """A place and its own port, and the way there: `machine` and `published` hide the client's address from it."""

    place: Place
    port: int
    way: Literal["direct", "machine", "published"]


class _Atlas:
    """Who is where."""

    def __init__(self, places: Sequence[Place], own: Network, former: Former) -> None:
        self.places = places
        self.own = own
        self.ours = {connection.local for connection in own.connections}
        self.by_address: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        self.by_name: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        self.by_namespace: defaultdict[str, list[Place]] = defaultdict(list)
        self.by_published: defaultdict[tuple[str, int], list[tuple[str, Place, int]]] = defaultdict(list)
        for place in places:
            for attached in place.network.attachments:
                for address in attached.addresses:
                    self.by_address[attached.network, address].append(place)
                for name in attached.names:
                    self.by_name[attached.network, name.lower()].append(place)
            if place.network.namespace:
                self.by_namespace[place.network.namespace].append(place)
            for (address, port), inside in place.network.published.items():
                self.by_published[place.network.machine, port].append((address, place, inside))
        there = {resource.id: place for place in places for resource in place.resources}
        for where, key in former.items():
            if key in there and where not in self.by_address:
                self.by_address[where].append(there[key])
        self.found: dict[tuple[str, str, How], Counter[str]] = defaultdict(Counter)
        self.unknown: list[Unknown] = []
        self.seen: set[tuple[Address, Address]] = set()
        """Connections known from their client's end: (client, server)."""
        self.through: Counter[tuple[int, int]] = Counter()
        """By place and its port: connections whose client is known from its own end, though the place sees only an
        address behind which others hide."""
        self.through_us: Counter[tuple[int, int]] = Counter()
        """The same, of this very process, through published ports."""

    def infer(self) -> tuple[list[Found], list[Unknown]]:
        for connection in self.own.connections:
            if (reached := self._at(self.own, *connection.remote)) and reached.way == "published":
                self.through_us[id(reached.place), reached.port] += 1
        for place in self.places:
            self._outgoing(place)
        for place in self.places:
            self._incoming(place)
            self._listed(place)
            self._named(place)
            if place.network.unknown and place.source:
                text = f"the connections of {place.source.slug} cannot be told: {place.network.unknown}"
                self.unknown.append(Unknown(place.source.id, text))
        edges = [Found(*key, _evidence(key[2], seen)) for key, seen in sorted(self.found.items())]
        return edges, self.unknown

    # Sources of knowledge ----------------------------------------------------------------------------------------

    def _outgoing(self, client: Place) -> None:
        """Connections whose far end is a server, seen from the client."""
        outside: Counter[str] = Counter()
        for connection in client.network.connections:
            (_, port), remote = connection.local, connection.remote
            if port in client.network.listening or connection.local in self.ours:
                continue
            reached = self._at(client.network, *remote)
            if reached is None:
                outside[_written(*remote)] += port >= EPHEMERAL and not self._us(client.network, *remote)
            else:
                if reached.way != "direct" and connection.established:
                    self.through[id(reached.place), reached.port] += 1
                self.seen.add((connection.local, remote))
                evidence, count = f"to {_written(*remote)}", int(connection.established)
                self._edge(client, reached.place, reached.port, "connections", evidence, count)
        outside = +outside
        if outside and client.source:
            text = f"{client.source.slug} talks to {_listed(outside)}, which nothing watched here is"
            self.unknown.append(Unknown(client.source.id, text))

    def _incoming(self, server: Place) -> None:
        """Connections to a port it listens on, seen from the server."""
        hidden: Counter[tuple[str, int]] = Counter()
        for connection in server.network.connections:
            (_, port), (peer, from_port) = connection.local, connection.remote
            if port not in server.network.listening or (peer, from_port) in self.ours or _is_loopback(peer):
                continue
            if peer in _gateways(server):
                hidden[peer, port] += connection.established
            elif (connection.remote, connection.local) not in self.seen and (client := self._who(server, peer)):
                evidence, count = f"to {_written(connection.local[0], port)}", int(connection.established)
                self._edge(client, server, port, "connections", evidence, count)
        for (peer, port), count in hidden.items():
            target = server.target(port)
            if target is not None and target.id not in server.clients:
                known = self.through[id(server), port] + self.through_us[id(server), port]
                self._hidden(target, peer, count - known)

    def _listed(self, server: Place) -> None:
        """The clients that the server itself lists."""
        slugs = {resource.id: resource for resource in server.resources}
        for key, peers in server.clients.items():
            resource, counted = slugs[key], Counter(peers)
            port = next(iter(resource.ports), None)
            strangers: Counter[str] = Counter()
            for peer, count in counted.items():
                if _is_loopback(peer):
                    continue
                if peer in _gateways(server):
                    self._hidden(resource, peer, count - (self.through[id(server), port] if port else 0))
                elif client := self._who(server, peer):
                    self._edge(client, server, port, "clients", f"from {peer}", count)
                else:
                    strangers[peer] += count
            if strangers:
                text = f"{resource.slug} has clients at {_listed(strangers)}, which nothing watched here is"
                self.unknown.append(Unknown(key, text))

    def _named(self, client: Place) -> None:
        """What its environment names."""
        outside: dict[str, str] = {}
        for mention in mentions(client.variables):
            place, port = self._meant(client, mention)
            if place is not None:
                where = mention.host if mention.port is None else _written(mention.host, mention.port)
                self._edge(client, place, port, "environment", f"{mention.variable} names {where}")
            elif mention.scheme and mention.scheme not in _WEB and not _is_here(mention.host):
                outside[mention.host] = mention.variable
        for host, variable in outside.items():
            if client.source:
                text = f"{client.source.slug} is told of {host} ({variable}), which nothing watched here is"
                self.unknown.append(Unknown(client.source.id, text))

    # Who is there ------------------------------------------------------------------------------------------------

    def _at(self, client: Network, address: str, port: int) -> _Reached | None:
        """What a client reaches at an address and port."""
        if _is_loopback(address):
            if place := self._listening(client.namespace, port):
                return _Reached(place, port, "direct")
            return self._published(client.namespace, address, port)
        for place in self._near(client, address):
            known = place.network.listening or (_declared(place) if _shares(place) else ())
            if not known or port in known:
                return _Reached(place, port, "machine" if client.namespace == place.network.machine else "direct")
        if any(address in attached.gateways for attached in client.attachments) and client.machine:
            if place := self._listening(client.machine, port):
                return _Reached(place, port, "direct")
            return self._published(client.machine, address, port)
        machine = client.machine or client.namespace
        return self._published(machine, address, port) if self._is_machine(machine, address) else None

    def _near(self, client: Network, address: str) -> list[Place]:
        """Those who have this address on a network that the client is on; the machine itself is on all of its own."""
        found = [p for a in client.attachments for p in self.by_address.get((a.network, address), ())]
        found += self.by_address.get(("", address), ())
        if not found and client.namespace:
            found = [
                place
                for (_, known), those in self.by_address.items()
                if known == address
                for place in those
                if place.network.machine == client.namespace
            ]
        return found

    def _listening(self, namespace: str, port: int) -> Place | None:
        """Who in a network namespace listens on a port."""
        there = self.by_namespace.get(namespace, ()) if namespace else ()
        return next((place for place in there if port in place.network.listening), None)

    def _published(self, machine: str, address: str, port: int) -> _Reached | None:
        for bound, place, inside in self.by_published.get((machine, port), ()) if machine else ():
            if bound in ("0.0.0.0", "::", address):
                return _Reached(place, inside, "published")
        return None

    def _us(self, client: Network, address: str, port: int) -> bool:
        """Whether a client reaches this very process there: it is asked by those who send to it."""
        here = self.own.namespace
        if not here or port not in self.own.listening:
            return False
        if _is_loopback(address):
            return client.namespace == here
        gateway = any(address in attached.gateways for attached in client.attachments)
        return (client.machine or client.namespace) == here and (gateway or self._is_machine(here, address))

    def _is_machine(self, machine: str, address: str) -> bool:
        """Whether the machine itself has this address: those who are in its own namespace say so."""
        there = self.by_namespace.get(machine, ())
        return any(address in attached.addresses for place in there for attached in place.network.attachments)

    def _who(self, server: Place, peer: str) -> Place | None:
        """The client behind an address that a server sees; None where several may be meant."""
        there = {id(place): place for place in self._near(server.network, peer)}
        return next(iter(there.values())) if len(there) == 1 else None

    def _meant(self, client: Place, mention: Mention) -> tuple[Place | None, int | None]:
        host, port = mention.host.lower(), mention.port
        if _is_address(host) or host == "localhost":
            address = "127.0.0.1" if host == "localhost" else host
            if port is not None and (reached := self._at(client.network, address, port)):
                return reached.place, reached.port
            # It is stopped, listens there no more, or the port is not said. At an address of a machine there are many:
            # only who is known to have that port is meant.
            near = [] if _is_loopback(address) else self._near(client.network, address)
            likely = port or _usual(mention)
            meant = [place for place in near if not _shares(place) or likely in _declared(place)]
            return (meant[0], port) if meant else (None, None)
        networks = [*(attached.network for attached in client.network.attachments), ""]
        there = [place for network in networks for place in self.by_name.get((network, host), ())]
        others = [place for place in there if place is not client and _may_be_meant(place, mention)]
        return (others[0], port) if others else (client if client in there else None, port)

    # Writing down ------------------------------------------------------------------------------------------------

    def _edge(self, client: Place, server: Place, port: int | None, how: How, evidence: str, count: int = 1) -> None:
        if client is server:
            return
        source, target = client.source, server.target(port)
        if target is None:
            return
        if source is None:
            slugs = ", ".join(sorted(resource.slug for resource in client.resources))
            self.unknown.append(Unknown(target.id, f"{target.slug} is needed by one of {slugs}: which cannot be told"))
        elif source.id != target.id:
            self.found[source.id, target.id, how][evidence] += count

    def _hidden(self, target: Resource, peer: str, count: int) -> None:
        if count > 0:
            clients = "1 client" if count == 1 else f"{count} clients"
            text = (
                f"{clients} of {target.slug} come{'s' * (count == 1)} through {peer} (NAT): this machine, or whoever "
                "uses a published port. Who cannot be known from here"
            )
            self.unknown.append(Unknown(target.id, text))


def _shares(place: Place) -> bool:
    """Whether its addresses are those of a whole machine, at which others, whom nobody watches, listen, too."""
    return bool(place.network.namespace) and place.network.namespace == place.network.machine


def _usual(mention: Mention) -> int | None:
    """The usual port of what a variable is called after (`REDIS_HOST`)."""
    return next((PORTS[word] for word in mention.variable.lower().split("_") if word in PORTS), None)


def _declared(place: Place) -> set[int]:
    return {port for resource in place.resources for port in resource.ports}


def _may_be_meant(place: Place, mention: Mention) -> bool:
    """Whether a name with a port that may be something else (`IMAGE=redis:7`) can mean what is there."""
    if mention.scheme or mention.port is None:
        return True
    return mention.port in (place.network.listening or _declared(place) | set(PORTS.values()))


def _gateways(of: Place) -> frozenset[str]:
    return frozenset(address for attached in of.network.attachments for address in attached.gateways)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address).is_loopback


def _is_here(host: str) -> bool:
    """Names of oneself or of nobody in particular."""
    return host.lower() in ("localhost", "0.0.0.0", "::", "*") or _is_loopback(host)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listed(counted: Counter[str]) -> str:
    """
    >>> _listed(Counter({"10.0.0.1": 2, "10.0.0.2": 1}))
    '10.0.0.1, 10.0.0.2'
    """
    named = [name for name, _ in sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))]
    more = len(named) - _SHOWN
    return ", ".join(named[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _evidence(how: How, seen: Counter[str]) -> str:
    """What shows an edge, the most frequent first."""
    shown = [text for text, _ in sorted(seen.items(), key=lambda entry: (-entry[1], entry[0]))]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    told = ", ".join(shown[:_SHOWN]) + more
    if how == "environment":
        return told
    count = sum(seen.values())
    if how == "clients":
        return f"{count} client{'s' * (count != 1)} {told}"
    return f"{count} connection{'s' * (count != 1)} {told}" if count else f"short connections {told}"


def distinct(unknown: Iterable[Unknown]) -> tuple[Unknown, ...]:
    return tuple(dict.fromkeys(unknown))
