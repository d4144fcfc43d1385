"""Where the processes of a model run: a monitor says its host's name and its own number there."""

import socket
from collections.abc import Sequence

from watchkeeper.connectors.naming import resource_on
from watchkeeper.domain import Host, Resource, WatchkeeperError
from watchkeeper.hosts import ContainerHost, ServiceHost
from watchkeeper.hosts.answers import part
from watchkeeper.predictions import Sender


class Places:
    """The hosts there are, by what a process in them calls its host."""

    def __init__(self) -> None:
        self._named: dict[str, list[Host]] = {}
        self._here: list[ServiceHost] = []

    @classmethod
    async def among(cls, hosts: Sequence[Host]) -> "Places":
        """Engines are asked for nothing that they have not said already."""
        made = cls()
        for host in hosts:
            if isinstance(host, ServiceHost) and host.provider == "local":
                made._here.append(host)
            elif isinstance(host, ContainerHost):
                try:
                    shown = await host.remembered()
                except (WatchkeeperError, TimeoutError):
                    continue
                if name := str(part(shown, "Config").get("Hostname") or ""):
                    made._named.setdefault(name, []).append(host)
        return made

    def carriers(self, senders: Sequence[Sender]) -> list[Resource]:
        """What these processes run in, as far as that is seen from here, each once. Where a name leads to several (they
        share the machine's own), none is meant."""
        found: dict[str, Resource] = {}
        for sender in senders:
            host = self._host(sender)
            if host is not None:
                carrier = resource_on(host, kind=host.kind)
                found.setdefault(carrier.id, carrier)
        return list(found.values())

    def _host(self, sender: Sender) -> Host | None:
        named = self._named.get(sender.host, ())
        if len(named) == 1:
            return named[0]
        if not named and sender.host == socket.gethostname():
            return next((host for host in self._here if _holds(host, sender.pid)), None)
        return None


def _holds(service: ServiceHost, pid: int) -> bool:
    """Whether a process of its machine is its own, as far as it was looked at."""
    survey = service.machine.survey
    if survey is None or not service.pid:
        return False
    return any(process.pid == pid for process in survey.tree(service.pid))
