"""Where a host stands on the network, and whom it talks to: what dependencies are inferred from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Address = tuple[str, int]
"""An IP address, without brackets and without the IPv6 clothes of an IPv4 one, and a port."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection, as the host at its `local` end sees it. Who opened it is not told by the kernel: where
    `local`'s port is one the host listens on, the other did."""

    local: Address
    remote: Address
    established: bool = True
    """False for one that is being opened, or has just been closed (the kernel remembers it for a minute)."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One network a host is on. Its addresses and names mean something only to who is on the same one: two compose
    projects may both call something `redis`."""

    network: str
    """What identifies the network, everywhere: `docker:<network id>`, `machine:<machine id>`. Empty: the network that
    everybody is on (addresses that mean the same from everywhere)."""
    addresses: tuple[str, ...] = ()
    """IP addresses by which others on it reach the host."""
    names: tuple[str, ...] = ()
    """Names by which others on it reach the host: container name, aliases, host name."""
    gateways: tuple[str, ...] = ()
    """Addresses behind which others hide: whoever comes from there came through NAT."""


@dataclass(frozen=True, slots=True)
class Network:
    """Where a host stands on the network now."""

    namespace: str = ""
    """What identifies its network namespace; whose loopback is one and the same. Empty: not known."""
    machine: str = ""
    """What identifies the machine (or engine) whose addresses `published` ports are at. Empty: not known."""
    attachments: tuple[Attachment, ...] = ()
    published: Mapping[Address, int] = field(default_factory=dict[Address, int])
    """Address and port on the machine → port of the host that they lead to. `0.0.0.0` and `::` are every address."""
    listening: frozenset[int] = frozenset[int]()
    """TCP ports that it listens on."""
    connections: tuple[Connection, ...] = ()
    """Those of its own processes only; those on which both ends are in it may be left out."""
    unknown: str = ""
    """Why its connections cannot be told, in a few words; empty where they are told."""
