"""Where a machine stands on the network, and which of its sockets a service holds."""

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from watchkeeper.domain import Attachment, Network
from watchkeeper.hosts import sockets

_SOCKET = re.compile(rb"^/proc/(\d+)/fd/\d+ socket:\[(\d+)\]$")
_ADDRESS = re.compile(r"\binet6? ([0-9a-fA-F.:]+)")


@dataclass(slots=True)
class Standing:
    """One machine at one moment."""

    namespace: str = ""
    host: str = ""
    addresses: tuple[str, ...] = ()
    held: dict[int, list[sockets.Socket]] = field(default_factory=dict[int, list[sockets.Socket]])
    """Process → the sockets it holds. Of others' processes nothing is told without root."""

    def of(self, pids: Collection[int], ports: Collection[int]) -> Network:
        """The network as a service with these processes sees it."""
        own = [socket for pid in pids for socket in self.held.get(pid, ())]
        readable = not pids or any(pid in self.held for pid in pids)
        return Network(
            namespace=self.namespace,
            machine=self.namespace,
            attachments=(Attachment("", self.addresses, (self.host,) if self.host else ()),),
            listening=sockets.listening(own) | frozenset(ports),
            connections=sockets.connections(own),
            unknown="" if readable else "whose sockets are whose may not be read there; that needs root",
        )


def parse(out: bytes, boot: str) -> Standing:
    """What `sockets.sh` wrote; `boot` tells machines apart."""
    standing, rows = Standing(), list[str]()
    holders: defaultdict[int, set[int]] = defaultdict(set)
    addresses: list[str] = []
    for line in out.split(b"\n"):
        if found := _SOCKET.match(line):
            holders[int(found[2])].add(int(found[1]))
            continue
        name, _, rest = line.decode(errors="replace").partition(" ")
        if name.startswith("/proc/net/tcp"):
            rows.append(line.decode(errors="replace").split(":", 1)[1])
        elif name == "namespace" and rest:
            standing.namespace = f"{boot}:{rest}"
        elif name == "host":
            standing.host = rest
        elif name == "address":
            addresses += _ADDRESS.findall(rest)
    standing.addresses = tuple(dict.fromkeys(addresses))
    for socket in sockets.parse("\n".join(rows)):
        for pid in holders.get(socket.inode, ()):
            standing.held.setdefault(pid, []).append(socket)
    return standing
