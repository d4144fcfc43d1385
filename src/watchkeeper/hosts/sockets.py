"""The kernel's own list of TCP sockets: `/proc/net/tcp` and `tcp6`, of whichever network namespace.

Source of the format: docs.kernel.org, "networking/proc_net_tcp". Addresses are words in the byte order of the machine
that wrote them; every machine that runs a container engine today is little-endian.
"""

import ipaddress
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.domain import Address, Connection

FILES = ("tcp", "tcp6")
_ESTABLISHED, _SYN_SENT, _LISTEN = 0x01, 0x02, 0x0A
_CLOSING = (0x04, 0x05, 0x06, 0x08, 0x09)  # FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LAST_ACK
_STATES = frozenset(f"{state:02X}" for state in (_ESTABLISHED, _SYN_SENT, _LISTEN, *_CLOSING))


@dataclass(frozen=True, slots=True)
class Socket:
    """One row. `inode` is how a process' open files (`/proc/PID/fd`: `socket:[INODE]`) name it; 0 once it is closed."""

    local: Address
    remote: Address
    state: int
    inode: int

    @property
    def listens(self) -> bool:
        return self.state == _LISTEN

    @property
    def established(self) -> bool:
        return self.state == _ESTABLISHED


def parse(text: str) -> list[Socket]:
    """The sockets that listen, are established, or are being opened or closed. Headers and torn lines are passed over.

    The kernel remembers what was closed for a minute: so short connections are seen, too, though nobody looks while
    they are open.
    """
    found: list[Socket] = []
    for line in text.splitlines():
        row = line.split()
        if len(row) < 10 or row[3] not in _STATES:
            continue
        try:
            found.append(Socket(_address(row[1]), _address(row[2]), int(row[3], 16), int(row[9])))
        except ValueError:
            continue
    return found


def listening(sockets: Iterable[Socket]) -> frozenset[int]:
    """The ports that are listened on."""
    return frozenset(socket.local[1] for socket in sockets if socket.listens)


def connections(sockets: Iterable[Socket]) -> tuple[Connection, ...]:
    """All that do not listen."""
    return tuple(Connection(s.local, s.remote, s.established) for s in sockets if not s.listens)


def of_namespace(pid: int) -> list[Socket]:
    """All sockets in the network namespace of a process on this machine. Raises OSError."""
    return [s for name in FILES for s in parse(Path(f"/proc/{pid}/net/{name}").read_text())]


def of_processes(pids: Collection[int]) -> list[Socket]:
    """Those sockets that these processes hold open, which share a network namespace. Raises OSError."""
    held = inodes(pids)
    first = next(iter(pids), None)
    return [s for s in of_namespace(first) if s.inode in held] if first is not None and held else []


def inodes(pids: Collection[int]) -> frozenset[int]:
    """Of the sockets that these processes hold open."""
    return frozenset(inode for pid in pids for inode in _inodes(pid))


def namespace(pid: int) -> str:
    """What identifies the network namespace of a process among those of all machines. Raises OSError."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{os.readlink(f'/proc/{pid}/ns/net')}"


def _inodes(pid: int) -> set[int]:
    """Of the sockets a process has open; empty for one that is gone."""
    found: set[int] = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except OSError:
                continue  # closed meanwhile
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except FileNotFoundError:
        pass
    return found


def _address(text: str) -> Address:
    """`0100007F:1F90` → `("127.0.0.1", 8080)`; an IPv4 address in IPv6 clothes is undressed."""
    address, _, port = text.partition(":")
    words = b"".join(bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8))
    ip = ipaddress.ip_address(words)
    plain = ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
    return str(plain), int(port, 16)
