"""What one container or service sees of the network, look by look. Where it cannot be seen nothing is told."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from watchkeeper.connectors.network import names as naming
from watchkeeper.connectors.network.names import Names
from watchkeeper.connectors.network.reaching import OURS, Contrast, contrast
from watchkeeper.domain import Address, Host, WatchkeeperError
from watchkeeper.hosts.flows import Flow, flows_of, retransmitted
from watchkeeper.hosts.links import FarEnds, Link, Links
from watchkeeper.hosts.standpoint import Standpoint, called, standpoint

log = structlog.get_logger(__name__)
EVERY = 5.0
"""Seconds between two looks at all connections while nothing is sent again; the counter of that is read each time."""
SHARE = 20.0
"""A look at the connections is followed by so many times its own length without one: 5 % of a core at most."""
SILENT = 1.0
"""Seconds without anything from a peer, though something waits to be acknowledged, after which it is asked itself."""
CUT = 1
"""Contrasts in a row that show it, from which a peer counts as cut off; the rule wants it to last."""
TELLING = 0.05
"""Share of segments sent again from which that is told rather than how slow the way is; as in the rule."""
CALM = 30.0
"""Seconds without suspicion after which a peer that answers is asked no more."""
MOST = 4
"""Peers that are asked at the same time."""
_FAR = FarEnds()
_DUMPS: dict[str, tuple[float, list[Flow]]] = {}


@dataclass(slots=True)
class Suspect:
    """A peer that is asked itself."""

    at: float
    last: Contrast | None = None
    cut: int = 0
    since: float = 0.0
    task: asyncio.Task[None] | None = None


@dataclass
class Eyes:
    """Of one host. `name` is what people call it."""

    name: str
    host: Host | None
    _links: Links | None = None
    _suspects: dict[Address, Suspect] = field(default_factory=dict[Address, Suspect])
    _names: Names | None = None
    _asking: asyncio.Task[None] | None = None
    _ask_at: float = 0.0
    _due: float = 0.0
    _soonest: float = 0.0
    _count: int = -1
    _called: dict[str, str] = field(default_factory=dict[str, str])

    async def close(self) -> None:
        """End what is still asked."""
        tasks = [task for task in (self._asking, *(s.task for s in self._suspects.values())) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> tuple[dict[str, float], dict[str, str]]:
        """Metrics and facts to add to a reading; none where the network is not to be seen from here."""
        at = asyncio.get_running_loop().time()
        try:
            stand = await standpoint(self.host)
            if stand is None:
                self._links = None
                return {}, {}
            if self._links is None or self._links.namespace != stand.namespace:
                await self.close()
                self._links, self._names = Links(stand.namespace, _FAR), Names(self.host)
                self._suspects, self._due, self._ask_at = {}, 0.0, at
            await self._flows(self._links, stand, at)
        except (OSError, ValueError, WatchkeeperError, TimeoutError) as problem:
            log.debug("the network cannot be looked at", name=self.name, problem=str(problem))
            return {}, {}
        self._suspect(self._links, stand, at)
        self._ask_names(stand, at)
        return await self._told(self._links, at)

    # Looking -----------------------------------------------------------------------------------------------------

    async def _flows(self, links: Links, stand: Standpoint, at: float) -> None:
        count = retransmitted(stand.pid)
        soon = (count != self._count or links.uneasy) and at >= self._soonest
        if not soon and at < self._due:
            return
        self._count = count
        began = asyncio.get_running_loop().time()
        flows, mine = await asyncio.to_thread(_dumped, stand, at)
        links.update(flows, at, mine=mine, ours=OURS)
        self._due, self._soonest = at + EVERY, at + SHARE * (asyncio.get_running_loop().time() - began)

    def _suspect(self, links: Links, stand: Standpoint, at: float) -> None:
        """Ask peers from which nothing comes though it should, from within and from here."""
        if stand.own:
            return  # nothing to compare
        for peer, link in links.links.items():
            if link.silent_for(at) > SILENT:
                self._suspects.setdefault(peer, Suspect(at)).at = at
        for peer, suspect in list(self._suspects.items()):
            running = suspect.task is not None and not suspect.task.done()
            if running:
                continue
            if at - suspect.at > CALM and not suspect.cut:
                del self._suspects[peer]
            elif sum(s.task is not None and not s.task.done() for s in self._suspects.values()) < MOST:
                suspect.task = self._begin(self._compare(peer, suspect, stand))

    async def _compare(self, peer: Address, suspect: Suspect, stand: Standpoint) -> None:
        found = await contrast(peer, stand.pid)
        suspect.last = found
        if found.cut and not suspect.cut:
            suspect.since = asyncio.get_running_loop().time()
        suspect.cut = suspect.cut + 1 if found.cut else 0
        await asyncio.sleep(1.0)  # the rate of asking

    def _ask_names(self, stand: Standpoint, at: float) -> None:
        if self._names is None or at < self._ask_at or (self._asking is not None and not self._asking.done()):
            return
        self._asking = self._begin(self._round(self._names, stand))

    async def _round(self, names: Names, stand: Standpoint) -> None:
        try:
            await names.ask(stand)
        finally:
            wait = naming.AGAIN if names.failures else naming.EVERY
            self._ask_at = asyncio.get_running_loop().time() + wait

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except (OSError, WatchkeeperError, TimeoutError) as problem:
                log.debug("the network cannot be asked", name=self.name, problem=str(problem))

        return asyncio.create_task(guarded(), name=f"network of {self.name}")

    # Telling -----------------------------------------------------------------------------------------------------

    async def _told(self, links: Links, at: float) -> tuple[dict[str, float], dict[str, str]]:
        metrics, facts = {"network_unreachable": 0.0, "network_loss_ratio": 0.0}, {"network": "", "network_peer": ""}
        facts["network_else"] = ""
        slowest = max(links.links.values(), key=lambda link: link.rtt, default=None)
        if slowest is not None and slowest.rtt and slowest.least:
            metrics |= {"network_rtt_seconds": slowest.rtt, "network_rtt_ratio": slowest.rtt / slowest.least}
        else:
            metrics |= {"network_rtt_seconds": 0.0, "network_rtt_ratio": 0.0}
        cut = {peer: s for peer, s in self._suspects.items() if s.cut >= CUT and not _heard(links, peer, s.since)}
        lossy = max(links.links.values(), key=lambda link: link.loss, default=None)
        if cut:
            metrics["network_unreachable"] = float(len(cut))
            facts |= await self._cut(cut, at)
        elif lossy is not None and lossy.loss:
            metrics["network_loss_ratio"] = lossy.loss
        if lossy is not None and metrics["network_loss_ratio"] > TELLING:
            facts |= await self._lossy(lossy, at)
        elif not cut and slowest is not None and slowest.rtt:
            facts |= await self._slow(slowest)
        names = self._names
        if names is not None and names.last is not None:
            metrics |= {"dns_failing": float(names.failing), "dns_seconds": names.last.seconds}
            facts["dns"] = self._unresolved(names) if names.failing else ""
        return metrics, facts

    async def _cut(self, cut: dict[Address, Suspect], at: float) -> dict[str, str]:
        peers = [await self._name(peer) for peer in cut]
        last = [suspect.last for suspect in cut.values() if suspect.last is not None]
        ms = max((one.here.seconds for one in last), default=0.0) * 1000
        since = at - min(suspect.since for suspect in cut.values())
        text = (
            f"The network between {self.name} and {_and(peers)} is cut: nothing that {self.name} sends there has been "
            f"answered for {max(since, 1.0):.0f} s."
        )
        return {
            "network": text,
            "network_peer": _and(peers),
            "network_else": f"{_and(peers)} {'accepts' if len(peers) == 1 else 'accept'} connections from this machine "
            f"in {ms:.1f} ms: not down, not stuck",
        }

    async def _lossy(self, link: Link, at: float) -> dict[str, str]:
        peer = await self._name(link.peer)
        text = (
            f"The network between {self.name} and {peer} loses packets: {link.loss:.0%} of {link.sent} segments had to "
            f"be sent again within {link.lossy_for(at):.0f} s."
        )
        return {"network": text, "network_peer": peer, "network_else": self._others(link)}

    async def _slow(self, link: Link) -> dict[str, str]:
        peer = await self._name(link.peer)
        text = (
            f"The network between {self.name} and {peer} is choked: there and back takes {link.rtt * 1000:.0f} ms, at "
            f"its best it took {link.least * 1000:.2g} ms."
        )
        return {"network": text, "network_peer": peer, "network_else": self._others(link)}

    def _others(self, link: Link) -> str:
        others = [one for peer, one in (self._links.links if self._links else {}).items() if peer != link.peer]
        well = [one for one in others if not one.stuck and not one.loss]
        return f"its ways to {len(well)} of {len(others)} other servers are well" if others else ""

    def _unresolved(self, names: Names) -> str:
        last = names.last
        if last is None:
            return ""
        asked = ", ".join(f"{name}: {why}" for name, why in last.wrong.items())
        there = [f"{name} is at {', '.join(sorted(last.known[name]))}" for name in last.wrong if name in last.known]
        known = f" The engine knows: {'; '.join(there)}." if there else " They were resolved here before."
        servers = f"its name server{'s' if len(last.servers) > 1 else ''} {_and(list(last.servers))}"
        return f"DNS fails in {self.name}: none of the names it uses is resolved by {servers} ({asked}).{known}"

    async def _name(self, peer: Address) -> str:
        where = f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
        if peer[0] not in self._called:
            self._called[peer[0]] = await called(peer[0], self.host)
        name = self._called[peer[0]]
        return f"{name} ({where})" if name else where


def _dumped(stand: Standpoint, at: float) -> tuple[list[Flow], frozenset[int] | None]:
    """One list serves all who share a namespace."""
    known = _DUMPS.get(stand.namespace)
    if stand.processes is None or known is None or at - known[0] > 1.0:
        known = at, flows_of(stand.pid)
        if stand.processes is not None:
            _DUMPS[stand.namespace] = known
    return known[1], stand.inodes


def _heard(links: Links, peer: Address, since: float) -> bool:
    """Whether a connection got an answer since then after all: what is slow, or loses packets, is not cut."""
    link = links.links.get(peer)
    return link is not None and link.heard > since


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
