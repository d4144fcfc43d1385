"""Whether an address accepts connections: asked from within somebody's network namespace, and from here."""

import asyncio
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from watchkeeper.domain import Address
from watchkeeper.hosts.within import within

SECONDS = 1.3
"""Long enough for a second request to connect, which the kernel sends after 1 s (RFC 6298, 2)."""
AT_ONCE = 2
"""Connections tried from within at the same time: what loses packets lets one of them through."""
OURS: set[int] = set()
"""Inodes of the sockets that ask: nobody's connections."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How one address answered. `seconds` until it did: accepted, or refused, which is an answer, too."""

    answered: bool
    accepted: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """The same address from within and from here, at the same time."""

    within: Reach
    here: Reach

    @property
    def cut(self) -> bool:
        """Whether who is there serves others, and is not reached from within."""
        return self.here.accepted and not self.within.answered


async def contrast(peer: Address, pid: int) -> Contrast:
    """Open a connection to `peer` from the namespace of a process, and one from here; nothing is sent over them."""
    *inside, here = await asyncio.gather(*(_reach(peer, pid) for _ in range(AT_ONCE)), _reach(peer, None))
    return Contrast(max(inside, key=lambda one: one.answered), here)


async def _reach(peer: Address, pid: int | None) -> Reach:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET

    def make() -> socket.socket:
        return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    began = loop.time()
    try:
        made = make() if pid is None else await asyncio.to_thread(within, pid, make)
    except OSError:
        return Reach(answered=True, accepted=False, seconds=0.0)  # it has ended: nothing is learnt
    inode = os.fstat(made.fileno()).st_ino
    with ExitStack() as stack:
        stack.callback(OURS.discard, inode)
        stack.enter_context(made)
        OURS.add(inode)
        try:
            async with asyncio.timeout(SECONDS):
                await loop.sock_connect(made, peer)
        except TimeoutError:
            return Reach(answered=False, accepted=False, seconds=SECONDS)
        except ConnectionRefusedError:
            return Reach(answered=True, accepted=False, seconds=loop.time() - began)
        except OSError:  # no way there
            return Reach(answered=False, accepted=False, seconds=loop.time() - began)
        return Reach(answered=True, accepted=True, seconds=loop.time() - began)
