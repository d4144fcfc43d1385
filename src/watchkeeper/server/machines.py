"""The machines that the configuration names: this one, and those reached over SSH."""

from pathlib import Path

from watchkeeper.hosts import LocalShell, Machine, SshShell
from watchkeeper.settings import HostsSettings, secret
from watchkeeper.settings.machines import LocalSettings, SshSettings


def machines_of(settings: HostsSettings, memory: Path | None = None) -> list[Machine]:
    """One provider of hosts for each machine. How plain processes were started is kept in the folder `memory`; without
    one it is known as long as this process lives. Raises ConfigurationError for a reference that cannot be followed."""
    found: list[Machine] = []
    if settings.local.enabled:
        local, kept = settings.local, memory and memory / "local.json"
        found.append(
            Machine(LocalShell(), services=local.services, labels=_labels(local), sudo=local.sudo, memory=kept)
        )
    return found + [far_machine(said, memory) for said in settings.ssh]


def far_machine(said: SshSettings, memory: Path | None = None) -> Machine:
    """A machine reached over SSH. Raises ConfigurationError."""
    shell = SshShell(
        said.name,
        address=said.address or said.name,
        port=said.port,
        user=said.user,
        key=secret(said.key) if said.key else None,
        passphrase=secret(said.passphrase) if said.passphrase else None,
        known_hosts=said.known_hosts,
        host_key=said.host_key,
    )
    return Machine(
        shell,
        name=said.name,
        provider="ssh",
        services=said.services,
        labels=_labels(said),
        sudo=said.sudo,
        memory=memory and memory / f"ssh-{said.name}.json",
    )


def _labels(said: LocalSettings | SshSettings) -> dict[str, str]:
    """What a machine's settings say of everything on it, as labels say it of a container."""
    labels = {"watchkeeper.act": "true"} if said.act else {}
    return labels | ({"watchkeeper.environment": said.environment} if said.environment else {})
