"""Which connections are held for nothing, and ending them from outside; what is being served is never among them.

The kernel knows of each connection when data last came and went (`ss -i`). nginx hands a request on as soon as it has
read it, so a request that is being served has a connection to an upstream whose clock agrees with its own.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from watchkeeper.connectors.namespaces import within
from watchkeeper.domain import Refused

TOLERANCE_MS = 250
"""How long after a request came in full it may take until it is handed on, and likewise its answer."""
BUSY_MS = 1000
"""The same where an upstream is being waited for: somebody's request it is, on a busy machine later handed on."""
_TICKS_MS = 12
"""How exact the kernel's clock is."""
REQUEST_BYTES = 32 << 10
"""Whoever has sent more than any request's head has (4 buffers of 8 KB: `large_client_header_buffers`) sends a body."""
SLOW_BYTES_PER_SECOND = 100.0
"""Slower than any line that a request would come over; ours."""
_BATCH = 100
_SECONDS = 5.0
"""So many sockets are listed no faster."""
_NUMBER = re.compile(r"\b(bytes_sent|bytes_received|lastsnd|lastrcv|notsent|unacked):(\d+)")
_PIDS = re.compile(r"pid=(\d+)")


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection of a worker; milliseconds since it last sent and received."""

    local: str
    peer: str
    opening: bool = False
    queued: int = 0
    """Bytes that are to be sent, or sent and not acknowledged."""
    unread: int = 0
    """Bytes received that the worker has not read."""
    sent: int = 0
    received: int = 0
    sent_ms: int = 0
    received_ms: int = 0
    pids: frozenset[int] = frozenset()

    @property
    def port(self) -> int:
        return int(self.local.rpartition(":")[2])

    @property
    def address(self) -> str:
        return self.peer.rpartition(":")[0].strip("[]").removeprefix("::ffff:")


def impossible() -> str:
    """Why this cannot be done here; empty where it can."""
    if os.geteuid() != 0:
        return "it needs root to enter the network namespace of the server"
    missing = [program for program in ("nsenter", "ss") if not shutil.which(program)]
    return f"{' and '.join(missing)} is not installed (packages util-linux, iproute2)" if missing else ""


def parse(text: str) -> list[Connection]:
    """What `ss -Htnoip state established state syn-sent` writes: two lines for each."""
    found: list[Connection] = []
    for line in text.splitlines():
        words = line.split()
        if not line[:1].isspace() and len(words) >= 5 and words[1].isdigit():
            pids = frozenset(int(pid) for pid in _PIDS.findall(line))
            opening = words[0] == "SYN-SENT"
            found.append(Connection(words[3], words[4], opening, int(words[2]), int(words[1]), pids=pids))
        elif found:
            told = {name: int(value) for name, value in _NUMBER.findall(line)}
            known = found[-1]
            found[-1] = replace(
                known,
                queued=known.queued + told.get("notsent", 0) + told.get("unacked", 0),
                sent=told.get("bytes_sent", 0),
                received=told.get("bytes_received", 0),
                sent_ms=told.get("lastsnd", 0),
                received_ms=told.get("lastrcv", 0),
            )
    return found


@dataclass(frozen=True, slots=True)
class Sorted:
    """A server's client connections by what is going on with them."""

    idle: tuple[Connection, ...]
    """Answered, or never asked for anything; quiet for as long as was asked."""
    slow: tuple[Connection, ...]
    """In the middle of a request that does not come."""
    served: tuple[Connection, ...]
    """Everybody else: they are left alone."""

    @property
    def pending(self) -> int:
        """How many of them wait for an answer, or get one."""
        return sum(
            bool(one.queued or one.unread or one.received_ms < one.sent_ms or not one.sent) for one in self.served
        )

    def careful(self, at_work: int) -> "Sorted":
        """The same where the server itself says how many requests are at work: if that is more than are told apart
        here, one of those that seem slow is none of them, and all are left alone."""
        if at_work <= self.pending:
            return self
        return Sorted(self.idle, (), (*self.slow, *self.served))


def sort(
    connections: Iterable[Connection],
    workers: Collection[int],
    ports: Collection[int],
    quiet_seconds: float,
    grown: dict[str, tuple[float, int]],
    *,
    at: float,
    blind: bool,
) -> Sorted:
    """Judge the connections of these workers. `grown`: when each was first seen and what it had sent by then, by
    peer. `blind`: requests may be at work that no connection to an upstream shows; then only idle ones are told."""
    own = [one for one in connections if one.pids & set(workers)]
    upstreams = [one for one in own if one.port not in ports]
    blind |= any(one.opening for one in upstreams)  # somebody's request waits for one that is being opened
    idle, slow, served = list[Connection](), list[Connection](), list[Connection]()
    clients = [one for one in own if one.port in ports]
    waited_for = {one for upstream in upstreams for one in _served_by(upstream, clients)}
    for one in clients:
        if one.queued or one.unread or one in waited_for:
            served.append(one)
        elif one.sent and one.sent_ms <= one.received_ms:
            (idle if one.sent_ms >= quiet_seconds * 1000 else served).append(one)
        elif not one.received:
            (idle if one.received_ms >= quiet_seconds * 1000 else served).append(one)
        elif not blind and _crawls(one, quiet_seconds, grown, at):
            slow.append(one)
        else:
            served.append(one)
    return Sorted(tuple(idle), tuple(slow), tuple(served))


def _served_by(upstream: Connection, clients: Sequence[Connection]) -> list[Connection]:
    """Whose request a connection to an upstream may be; where no clock agrees, the last that came before it."""
    near = [one for one in clients if _serves(upstream, one)]
    if near or upstream.sent_ms > upstream.received_ms:
        return near
    before = [one for one in clients if one.received and one.received_ms >= upstream.sent_ms - _TICKS_MS]
    return [min(before, key=lambda one: one.received_ms)] if before else []


def _serves(upstream: Connection, client: Connection) -> bool:
    """Whether a connection to an upstream may be that of a client's request: one went on after the other came."""
    waits = upstream.sent_ms <= upstream.received_ms
    asked = _follows(client.received_ms, upstream.sent_ms, BUSY_MS if waits else TOLERANCE_MS)
    answered = bool(client.sent and upstream.received) and _follows(upstream.received_ms, client.sent_ms, TOLERANCE_MS)
    return asked or answered


def _follows(came_ms: int, went_ms: int, within_ms: int) -> bool:
    return -_TICKS_MS <= came_ms - went_ms <= within_ms


def _crawls(one: Connection, quiet_seconds: float, grown: dict[str, tuple[float, int]], at: float) -> bool:
    """Whether it has been sending one request for as long as that, and hardly anything of it."""
    if one.received > REQUEST_BYTES and not one.sent:
        return False
    if one.received_ms >= quiet_seconds * 1000:
        return True
    if one.peer not in grown:
        return False
    since, bytes_then = grown[one.peer]
    seconds = at - since
    return seconds >= quiet_seconds and (one.received - bytes_then) / seconds < SLOW_BYTES_PER_SECOND


def largest(connections: Sequence[Connection]) -> tuple[str, int]:
    """The address with the most of them, and how many; empty and 0 without any."""
    counted = Counter(one.address for one in connections).most_common(1)
    return counted[0] if counted else ("", 0)


async def listed(pid: int) -> list[Connection]:
    """The established connections in the network namespace of a process. Raises Refused where it cannot be told."""
    if why := impossible():
        raise Refused(f"The connections of the server cannot be listed: {why}.")
    return parse(await within(pid, "ss", "-Htnoip", "state", "established", "state", "syn-sent", seconds=_SECONDS))


async def end(pid: int, connections: Sequence[Connection]) -> None:
    """End these from inside; their clients see a reset. Raises Refused where the kernel cannot."""
    for start in range(0, len(connections), _BATCH):
        batch = connections[start : start + _BATCH]
        which = " or ".join(f"( src {one.local} and dst {one.peer} )" for one in batch)
        await within(pid, "ss", "-K", "-Htn", "state", "established", f"( {which} )", seconds=_SECONDS)
