"""The machines that the configuration names."""

from watchkeeper.hosts import LocalShell, Machine
from watchkeeper.settings import HostsSettings, LocalSettings


def machines_of(settings: HostsSettings) -> list[Machine]:
    """One provider of hosts for each machine."""
    found: list[Machine] = []
    if settings.local.enabled:
        local = settings.local
        found.append(Machine(LocalShell(), services=local.services, labels=_labels(local), sudo=local.sudo))
    return found


def _labels(said: LocalSettings) -> dict[str, str]:
    """What a machine's settings say of everything on it, as labels say it of a container."""
    labels = {"watchkeeper.act": "true"} if said.act else {}
    return labels | ({"watchkeeper.environment": said.environment} if said.environment else {})
