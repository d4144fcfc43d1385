"""The network namespaces of the lab's containers, entered by root with `nsenter`: the engine is on this machine."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from watchkeeper_lab.command import attempt, run
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.services import ServiceState

TOOLS = ("nsenter", "iptables", "tc")
INTERFACE = "eth0"
TABLES = ("filter", "mangle")
"""Tables of a container's own namespace that the engine leaves alone; `nat` leads to its name server."""
CHAINS = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})


def possible() -> bool:
    """Whether a container's network can be handled here."""
    return os.geteuid() == 0 and all(map(shutil.which, TOOLS)) and not os.environ.get("DOCKER_HOST")


async def inside(state: ServiceState, *words: str) -> str:
    """What a program of this machine prints in the network namespace of a service; raises `LabError`."""
    if not state.pid:
        raise LabError(f"{state.where} does not run.", "Run `watchkeeper lab reset` and try again.")
    return await run(["nsenter", "-t", str(state.pid), "-n", *words], timeout=20.0)


async def address(state: ServiceState) -> str:
    """The address by which the others on its network reach it."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    found = (await run(["docker", "inspect", "-f", form, state.where])).split()
    if not found:
        raise LabError(f"{state.where} has no address.", "Run `watchkeeper lab reset` and try again.")
    return found[0]


async def drop(state: ServiceState, chain: str, *match: str) -> None:
    """Have the kernel drop what matches."""
    await inside(state, "iptables", "-w", "-A", chain, *match, "-j", "DROP")


async def choke(state: ServiceState, kbit: int, *match: str) -> None:
    """Let what matches pass at so many kbit/s only, and wait its turn."""
    rate = f"{kbit}kbit"
    for words in (
        ("qdisc", "add", "dev", INTERFACE, "root", "handle", "1:", "htb", "default", "1"),
        ("class", "add", "dev", INTERFACE, "parent", "1:", "classid", "1:1", "htb", "rate", "10gbit"),
        ("class", "add", "dev", INTERFACE, "parent", "1:", "classid", "1:2", "htb", "rate", "10gbit"),
        ("qdisc", "add", "dev", INTERFACE, "parent", "1:2", "tbf", "rate", rate, "burst", "2kb", "limit", "8kb"),
    ):
        await inside(state, "tc", *words)
    chain = ("iptables", "-w", "-t", "mangle", "-A", "POSTROUTING")
    await inside(state, *chain, *match, "-j", "CLASSIFY", "--set-class", "1:2")


async def mend(state: ServiceState) -> None:
    """Take everything out that is not of the engine's own making, whoever put it in and whenever. Idempotent."""
    for table in TABLES:
        for line in (await inside(state, "iptables", "-w", "-t", table, "-S")).splitlines():
            if line.startswith("-A") and line.split()[1] in CHAINS:
                await inside(state, "iptables", "-w", "-t", table, "-D", *line.split()[1:])
    shaped = await inside(state, "tc", "qdisc", "show", "dev", INTERFACE)
    if any(kind in shaped for kind in ("htb", "tbf", "netem")):
        await attempt(["nsenter", "-t", str(state.pid), "-n", "tc", "qdisc", "del", "dev", INTERFACE, "root"])


def resolver(state: ServiceState) -> Path:
    """The file that names the service's name servers, through its main process."""
    return Path(f"/proc/{state.pid}/root/etc/resolv.conf")


def within_reach(states: Mapping[str, ServiceState]) -> dict[str, ServiceState]:
    """Those whose network can be handled now."""
    return {name: one for name, one in states.items() if one.pid and one.status == "running"} if possible() else {}
