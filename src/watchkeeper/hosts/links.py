"""What a host's connections told lately of each server whose client it is. Times: seconds of any steady clock."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from watchkeeper.domain import Address
from watchkeeper.hosts.flows import LISTEN, Flow

QUIET = 3.0
"""A spell of loss is over when nothing was sent again for so long; for twice as long, while something waits to be."""
FEW = 5
"""Segments sent again in a spell from which it says something; fewer are chance."""
LATELY = 5.0
"""How long ago a connection must have been used for its time there and back to tell of now."""
_FORGET = 120.0
_FAR_OLD = 15.0
_OPENING = 0.3
"""Seconds without an answer to a request to connect that are no answer in time anywhere on one continent."""
_RETRIES = 2
"""Tries again in a row, each after twice the time, from which on a connection counts as stuck."""


@dataclass(slots=True)
class Link:
    """The way from one host to one server, as its connections show it from both ends where both can be seen."""

    peer: Address
    seen: float
    sent: int = 0
    """Segments since the spell of loss began."""
    again: int = 0
    lossy_since: float | None = None
    lossy_last: float = 0.0
    heard: float = 0.0
    """When something last came from there."""
    stuck: int = 0
    """Connections, or attempts at one, that get no answer now."""
    stuck_since: float | None = None
    rtt: float = 0.0
    least: float = 0.0
    """The least time there and back that was ever seen."""

    @property
    def loss(self) -> float:
        """Share of the segments of this spell that had to be sent again; 0 while too few were, and while nothing at all
        came back: who was stopped loses no packets, and a way that is cut is told from the answers that are missing."""
        if self.lossy_since is None or self.heard < self.lossy_since or self.again < FEW or not self.sent:
            return 0.0
        return self.again / self.sent

    def lossy_for(self, at: float) -> float:
        return at - self.lossy_since if self.lossy_since is not None else 0.0

    def silent_for(self, at: float) -> float:
        """For how long something has been sent there and nothing came back."""
        return at - max(self.stuck_since, self.heard) if self.stuck_since is not None else 0.0


class FarEnds:
    """The servers' ends of connections, by their addresses: of every network namespace that is looked at."""

    def __init__(self) -> None:
        self._of: dict[tuple[Address, Address], tuple[Flow, float]] = {}
        self._by: dict[str, tuple[tuple[Address, Address], ...]] = {}

    def keep(self, namespace: str, flows: Iterable[Flow], at: float) -> None:
        """In place of what was known of this namespace."""
        for key in self._by.pop(namespace, ()):
            self._of.pop(key, None)
        for flow in flows:
            self._of[flow.local, flow.remote] = flow, at
        self._by[namespace] = tuple((flow.local, flow.remote) for flow in flows)

    def of(self, flow: Flow, at: float) -> Flow | None:
        """The other end of a client's connection; None where nobody looks at it, or not lately."""
        found = self._of.get((flow.remote, flow.local))
        return found[0] if found and at - found[1] < _FAR_OLD else None


@dataclass(slots=True)
class Links:
    """Of one host; `namespace` is where it is."""

    namespace: str
    far: FarEnds
    links: dict[Address, Link] = field(default_factory=dict[Address, Link])
    _known: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict[tuple[str, int], tuple[int, int]])
    _begun: bool = False

    @property
    def uneasy(self) -> bool:
        """Whether to look again soon."""
        return any(link.lossy_since is not None or link.stuck for link in self.links.values())

    def update(
        self, flows: Collection[Flow], at: float, *, mine: Collection[int] | None, ours: Collection[int]
    ) -> None:
        """One more look at the namespace. `mine`: inodes of the host's sockets, where others share the namespace;
        `ours`: inodes of what this very process has there."""
        ports = {flow.local[1] for flow in flows if flow.state == LISTEN}
        talk = [
            flow for flow in flows if flow.state != LISTEN and not _stays(flow.remote[0]) and flow.inode not in ours
        ]
        self.far.keep(self.namespace, [flow for flow in talk if flow.local[1] in ports], at)
        known: dict[tuple[str, int], tuple[int, int]] = {}
        by_peer: dict[Address, list[Flow]] = {}
        for flow in talk:
            if flow.local[1] not in ports and (mine is None or flow.inode in mine):
                by_peer.setdefault(flow.remote, []).append(flow)
        for peer, those in by_peer.items():
            link = self.links.setdefault(peer, Link(peer, at))
            self._count(link, those, known, at)
        for peer, link in list(self.links.items()):
            if peer not in by_peer:
                link.stuck, link.stuck_since = 0, None
                self._spell(link, at)
                if at - link.seen > _FORGET:
                    del self.links[peer]
        self._known, self._begun = known, True

    def _count(
        self, link: Link, flows: Iterable[Flow], known: dict[tuple[str, int], tuple[int, int]], at: float
    ) -> None:
        sent = again = stuck = 0
        rtts: list[float] = []
        for near in flows:
            far = self.far.of(near, at)
            for end, which in ((near, "near"), (far, "far")):
                if end is None:
                    continue
                key = (which, end.cookie)
                before = self._known.get(key, (0, 0) if self._begun else (end.sent, end.again))
                known[key] = end.sent, end.again
                sent += max(0, end.sent - before[0])
                again += end.again - before[1]  # less than none: the far end said late that it had them already
                if end.rtt and min(end.active, end.heard) < LATELY:
                    rtts.append(end.rtt)
                if end.least_rtt:
                    link.least = min(link.least or end.least_rtt, end.least_rtt)
            if near.opening:
                stuck += near.retries > 0 or near.waits > _OPENING
            else:
                stuck += near.retries >= _RETRIES
                link.heard = max(link.heard, at - near.heard)
        link.seen, link.stuck, link.rtt = at, stuck, max(rtts, default=0.0)
        link.stuck_since = (link.stuck_since or at) if stuck else None
        if again > 0 and link.lossy_since is None:
            link.lossy_since, link.sent, link.again = at, 0, 0
        if again > 0:
            link.lossy_last = at
        link.sent, link.again = link.sent + sent, max(0, link.again + again)
        self._spell(link, at)

    def _spell(self, link: Link, at: float) -> None:
        if link.lossy_since is not None and at - link.lossy_last > (2 * QUIET if link.stuck else QUIET):
            link.lossy_since = None


def _stays(address: str) -> bool:
    """Whether what is sent there never leaves the machine's own loopback."""
    return address == "::1" or address.startswith("127.")
