"""Where a container stands on the network: from the engine, and from the kernel where it is on this machine."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from watchkeeper.domain import Address, Attachment, Network
from watchkeeper.hosts import sockets
from watchkeeper.hosts.answers import items, part
from watchkeeper.hosts.usage import group_processes, is_here


def described(shown: Mapping[str, Any], machine: str) -> Network:
    """What the engine itself tells (`docker inspect`): networks, addresses, names, published ports.

    `machine` identifies the engine where nothing better is known.
    """
    ident, name = str(shown.get("Id") or ""), str(shown.get("Name") or "").lstrip("/")
    mode = str(part(shown, "HostConfig").get("NetworkMode") or "")
    joined = mode.startswith("container:")
    networks = part(shown, "NetworkSettings", "Networks")
    return Network(
        namespace=machine if mode == "host" else f"docker:{mode.removeprefix('container:') if joined else ident}",
        machine=machine,
        attachments=tuple(_attachment(key, of, name) for key, of in networks.items() if key != "host"),
        published=_published(part(shown, "NetworkSettings", "Ports")),
    )


def _attachment(key: str, of: Mapping[str, Any], name: str) -> Attachment:
    known = [name, *items(of, "Aliases"), *items(of, "DNSNames")]
    return Attachment(
        network=f"docker:{of.get('NetworkID') or key}",
        addresses=tuple(str(a) for a in (of.get("IPAddress"), of.get("GlobalIPv6Address")) if a),
        # On the default bridge nobody is found by name.
        names=() if key == "bridge" else tuple(dict.fromkeys(str(n) for n in known if n)),
        gateways=tuple(str(a) for a in (of.get("Gateway"), of.get("IPv6Gateway")) if a),
    )


def _published(ports: Mapping[str, Any]) -> dict[Address, int]:
    found: dict[Address, int] = {}
    for inside in ports:
        number, _, protocol = inside.partition("/")
        for said in items(ports, inside):
            if protocol == "tcp" and number.isdigit() and str(said.get("HostPort") or "").isdigit():
                found[str(said.get("HostIp") or "0.0.0.0"), int(said["HostPort"])] = int(number)
    return found


async def seen_here(pid: int, incarnation: str, *, shared: bool) -> tuple[str, str, list[sockets.Socket]] | None:
    """Namespace, the machine's namespace and the sockets of a container whose process is on this machine; None where
    it is not. `shared`: others are in its namespace, so that only what its own processes hold is its own."""
    return await asyncio.to_thread(_seen_here, pid, incarnation, shared)


def _seen_here(pid: int, incarnation: str, shared: bool) -> tuple[str, str, list[sockets.Socket]] | None:
    if not is_here(pid, incarnation):
        return None
    try:
        found = sockets.of_processes(group_processes(pid)) if shared else sockets.of_namespace(pid)
    except (OSError, ValueError):
        return None
    return _namespace(pid), _namespace(1) or _namespace(os.getpid()), found


def _namespace(pid: int) -> str:
    try:
        return sockets.namespace(pid)
    except OSError:
        return ""
