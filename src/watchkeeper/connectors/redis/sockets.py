"""The server's connections as the kernel sees them: what is left when all slots are taken and no session is open.

The server's process id leads into its network namespace (`nsenter -t PID -n`), where `ss` lists its sockets and may end
one (`ss -K`, needs root and a kernel with INET_DIAG_DESTROY). A freed slot is a way in.
"""

import os
import re
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass

from watchkeeper.connectors.namespaces import within
from watchkeeper.connectors.redis.figures import peer
from watchkeeper.domain import Refused

_LAST_RECEIVED = re.compile(r"\blastrcv:(\d+)")


@dataclass(frozen=True, slots=True)
class Socket:
    """One established connection to the server."""

    peer: str
    """`10.0.0.5:4711`"""
    quiet_ms: int
    """Since it last received anything, in milliseconds."""

    @property
    def address(self) -> str:
        return peer(self.peer)


def impossible() -> str:
    """Why this cannot be done here; empty where it can."""
    if os.geteuid() != 0:
        return "it needs root to enter the network namespace of the server"
    missing = [program for program in ("nsenter", "ss") if not shutil.which(program)]
    return f"{' and '.join(missing)} is not installed (packages util-linux, iproute2)" if missing else ""


async def connections(pid: int, port: int) -> list[Socket]:
    """The established connections to the server's port. Raises Refused with the reason where it cannot be told."""
    if why := impossible():
        raise Refused(f"The connections of the server cannot be listed: {why}.")
    text = await within(pid, "ss", "-Htnoi", "state", "established", f"sport = :{port}")
    found: list[Socket] = []
    for line in text.splitlines():
        if line[:1].isspace() and found:
            if match := _LAST_RECEIVED.search(line):
                found[-1] = Socket(found[-1].peer, int(match[1]))
        elif len(words := line.split()) >= 4:
            found.append(Socket(words[3], 0))
    return found


def most(sockets: list[Socket]) -> tuple[str, int]:
    """The address with the most connections, and how many; empty and 0 without any."""
    counted = Counter(socket.address for socket in sockets).most_common(1)
    return counted[0] if counted else ("", 0)


def quietest(sockets: list[Socket], address: str = "") -> list[Socket]:
    """The connections of an address (by default the one with the most), the longest quiet first."""
    by_address: defaultdict[str, list[Socket]] = defaultdict(list)
    for socket in sockets:
        by_address[socket.address].append(socket)
    return sorted(by_address[address or most(sockets)[0]], key=lambda socket: -socket.quiet_ms)


async def end(pid: int, port: int, socket: Socket) -> None:
    """End one connection from inside; its client sees a reset. Raises Refused where the kernel cannot."""
    await within(pid, "ss", "-K", "-Htn", "state", "established", "dst", socket.peer, f"sport = :{port}")
