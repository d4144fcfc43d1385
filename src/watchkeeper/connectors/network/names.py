"""Whether the names that something uses are resolved where it is: by its own name servers, from its own namespace."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.domain import Host
from watchkeeper.hosts.mentions import mentions
from watchkeeper.hosts.resolving import Resolver, answered, configured, named, question
from watchkeeper.hosts.standpoint import Standpoint, neighbours
from watchkeeper.hosts.within import within

EVERY = 10.0
"""Seconds between two rounds of questions while all is well."""
AGAIN = 1.0
"""After a round that failed."""
ROUNDS = 2
"""Rounds in a row without any right answer from which DNS is said to fail."""
_TRY = 1.5
_TRIES = 2
_MOST = 4
"""Names that are asked for."""
_PORT = 53


@dataclass(frozen=True, slots=True)
class Round:
    """What was asked for, and how it went. `wrong`: by name that is known to exist, what came instead of addresses."""

    servers: tuple[str, ...]
    right: frozenset[str]
    wrong: Mapping[str, str]
    seconds: float
    known: Mapping[str, frozenset[str]]

    @property
    def failed(self) -> bool:
        """Not one name that exists was resolved."""
        return bool(self.wrong) and not self.right


class Names:
    """Of one container or service."""

    def __init__(self, host: Host | None) -> None:
        self._host = host
        self._seen: set[str] = set()
        """Names that were resolved here before: they exist."""
        self.last: Round | None = None
        self.failures = 0

    @property
    def failing(self) -> bool:
        return self.failures >= ROUNDS

    async def ask(self, stand: Standpoint) -> None:
        """One round. Raises OSError where it has ended."""
        if self._host is None:
            return
        root = Path(f"/proc/{stand.pid}/root/etc")
        resolver = configured(_text(root / "resolv.conf"))
        known = await neighbours(self._host)
        used = await self._used(known, named(_text(root / "hosts")))
        if not used or not resolver.servers:
            self.last, self.failures = None, 0
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        said = await asyncio.gather(*(_resolve(name, resolver, stand) for name in used))
        took = loop.time() - began
        right = frozenset(name for name, wrong in zip(used, said, strict=True) if not wrong)
        self._seen |= right
        exist = self._seen | known.keys()
        wrong = {name: why for name, why in zip(used, said, strict=True) if why and name in exist}
        self.last = Round(resolver.servers, right, wrong, took, known)
        self.failures = self.failures + 1 if self.last.failed else 0

    async def _used(self, known: Mapping[str, frozenset[str]], hosts: frozenset[str]) -> list[str]:
        """The names in its environment for which a name server is asked; those known to exist first."""
        assert self._host is not None
        mentioned = mentions(await self._host.environment())
        found = dict.fromkeys(m.host.lower() for m in mentioned if m.scheme or m.host.lower() in known)
        names = [name for name in found if _is_name(name) and name not in hosts]
        return sorted(names, key=lambda name: name not in known and name not in self._seen)[:_MOST]


def _is_name(text: str) -> bool:
    return text != "localhost" and ":" not in text and not text.replace(".", "").isdigit()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


async def _resolve(name: str, resolver: Resolver, stand: Standpoint) -> str:
    """What went wrong; empty where it was resolved."""
    said = ""
    for spelt in resolver.spelt(name):
        for _ in range(_TRIES):
            asked = [_ask(server, spelt, stand) for server in resolver.servers]
            answers = await asyncio.gather(*asked)
            if "" in answers:
                return ""
            said = next((one for one in answers if one != "no answer"), "no answer")
            if said != "no answer":
                break
    return said


async def _ask(server: str, name: str, stand: Standpoint) -> str:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET

    def make() -> socket.socket:
        return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    try:
        ident, packed = question(name)
        with make() if stand.own else await asyncio.to_thread(within, stand.pid, make) as asked:
            async with asyncio.timeout(_TRY):
                await loop.sock_connect(asked, (server, _PORT))
                await loop.sock_sendall(asked, packed)
                while True:
                    got = answered(await loop.sock_recv(asked, 4096), ident)
                    if got is not None:
                        return got[0]
    except (TimeoutError, OSError, ValueError):
        return "no answer"
