"""A question to a name server, over a socket somebody gives; what `resolv.conf` says. RFC 1035, man 5 resolv.conf."""

import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = struct.Struct("!HHHHHH")
_RECURSION = 0x0100
_A, _INTERNET = 1, 1
_NO_SUCH_NAME = 3
_CODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}
MOST_SERVERS = 3
"""As many name servers as the C library asks."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a `resolv.conf` says: whom to ask, and what is put after names with fewer than `ndots` dots."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1

    def spelt(self, name: str) -> tuple[str, ...]:
        """The full names that are asked for, in this order, until one is there."""
        if name.endswith("."):
            return (name,)
        longer = tuple(f"{name}.{domain}" for domain in self.search)
        return (name, *longer) if name.count(".") >= self.ndots else (*longer, name)


def configured(text: str) -> Resolver:
    """
    >>> configured("nameserver 127.0.0.11\\noptions ndots:0 timeout:1")
    Resolver(servers=('127.0.0.11',), search=(), ndots=0)
    """
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(domain for domain in words[1:] if domain != ".")
        elif words[0] == "options":
            dots = [word[6:] for word in words[1:] if word.startswith("ndots:")]
            ndots = int(dots[-1]) if dots and dots[-1].isdigit() else ndots
    return Resolver(tuple(servers[:MOST_SERVERS]), search, ndots)


def named(text: str) -> frozenset[str]:
    """The names that a `hosts` file gives addresses to: no server is asked for them."""
    lines = (line.split("#")[0].split() for line in text.splitlines())
    return frozenset(name.lower() for words in lines for name in words[1:])


def question(name: str) -> tuple[int, bytes]:
    """An identifier, and the question for the IPv4 addresses of a name. Raises ValueError for what is no name."""
    ident = random.randrange(1 << 16)
    labels = [label.encode("idna") if not label.isascii() else label.encode() for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"{name} is no name")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return ident, _HEADER.pack(ident, _RECURSION, 1, 0, 0, 0) + packed + struct.pack("!HH", _A, _INTERNET)


def answered(data: bytes, ident: int) -> tuple[str, frozenset[str]] | None:
    """What went wrong (empty: nothing), and the addresses; None where it is no answer to this question."""
    if len(data) < _HEADER.size:
        return None
    got, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    if got != ident or not flags & 0x8000:
        return None
    code = flags & 0xF
    if code == _NO_SUCH_NAME:
        return "no such name", frozenset()
    if code:
        return _CODES.get(code, f"code {code}"), frozenset()
    try:
        found = frozenset(_addresses(data, questions, answers))
    except (IndexError, struct.error):
        return "an answer that cannot be read", frozenset()
    return ("" if found else "no address"), found


def _addresses(data: bytes, questions: int, answers: int) -> Iterator[str]:
    at = _HEADER.size
    for _ in range(questions):
        at = _after_name(data, at) + 4
    for _ in range(answers):
        at = _after_name(data, at)
        kind, _, _, length = struct.unpack_from("!HHIH", data, at)
        at += 10
        if kind == _A and length == 4:
            yield socket.inet_ntop(socket.AF_INET, data[at : at + 4])
        at += length


def _after_name(data: bytes, at: int) -> int:
    while data[at]:
        if data[at] & 0xC0:
            return at + 2
        at += data[at] + 1
    return at + 1
