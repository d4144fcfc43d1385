"""From where a host sees the network: a process in its namespace, where that is on this machine and may be entered."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from watchkeeper.domain import Host
from watchkeeper.hosts import sockets
from watchkeeper.hosts.answers import part
from watchkeeper.hosts.container import ContainerHost
from watchkeeper.hosts.networks import described
from watchkeeper.hosts.service import ServiceHost
from watchkeeper.hosts.usage import group_processes, is_here
from watchkeeper.hosts.within import is_own

_COMPOSE = ("service", "container-number")


@dataclass(frozen=True, slots=True)
class Standpoint:
    """`pid` is a process there. `processes`: those of the host, where others share its namespace; None: all are its."""

    pid: int
    namespace: str
    processes: Collection[int] | None
    own: bool
    """Whether it is our own namespace: nothing is to be compared then."""

    @property
    def inodes(self) -> frozenset[int] | None:
        """Of the sockets its processes hold; None where all of the namespace are its. It blocks."""
        return None if self.processes is None else sockets.inodes(self.processes)


async def standpoint(host: Host | None) -> Standpoint | None:
    """None where the host does not run, is on another machine, or may not be looked into (which takes root)."""
    if os.geteuid() != 0:
        return None
    try:
        if isinstance(host, ContainerHost):
            return await _of_container(host)
        if isinstance(host, ServiceHost) and host.machine.provider == "local" and host.running and host.pid:
            tree = host.machine.survey.tree(host.pid) if host.machine.survey else []
            pids = [process.pid for process in tree] or [host.pid]
            return Standpoint(host.pid, sockets.namespace(host.pid), pids, is_own(host.pid))
    except OSError:
        return None  # it ended meanwhile
    return None


async def _of_container(host: ContainerHost) -> Standpoint | None:
    shown = await host.inspect(fresh=False)
    pid = int(part(shown, "State").get("Pid") or 0)
    if not part(shown, "State").get("Running") or not is_here(pid, host.incarnation):
        return None
    shared = str(part(shown, "HostConfig").get("NetworkMode")).startswith(("host", "container:"))
    return Standpoint(pid, sockets.namespace(pid), group_processes(pid) if shared else None, is_own(pid))


async def neighbours(host: Host | None) -> Mapping[str, frozenset[str]]:
    """Containers that run on the same networks: by each name they bear there, their addresses."""
    found: dict[str, frozenset[str]] = {}
    if not isinstance(host, ContainerHost):
        return found
    mine = {attached.network for attached in described(await host.remembered(), "").attachments}
    for other in host.engine.known():
        shown = await other.remembered()
        if not part(shown, "State").get("Running"):
            continue
        for attached in described(shown, "").attachments:
            for name in attached.names if attached.network in mine else ():
                found[name.lower()] = found.get(name.lower(), frozenset()) | {*attached.addresses}
    return found


async def called(address: str, host: Host | None) -> str:
    """What a container at an address that this host reaches is called (its compose service, else its name); empty where
    it is no container of the same engine."""
    if not isinstance(host, ContainerHost):
        return ""
    mine = {attached.network for attached in described(await host.remembered(), "").attachments}
    for other in host.engine.known():
        for attached in described(await other.remembered(), "").attachments:
            if attached.network in mine and address in attached.addresses:
                service, number = (other.labels.get(f"com.docker.compose.{key}", "") for key in _COMPOSE)
                return f"{service}-{number}" if service and number not in ("", "1") else service or other.name
    return ""
