"""`hosts:` machines whose services are plain processes or systemd units."""

from pathlib import Path

from pydantic import Field, field_validator

from watchkeeper.settings.part import REFERENCE, REFERENCES, Part


class LocalSettings(Part):
    """This machine: what runs on it without a container. `services`: globs of what to watch that no connector knows."""

    enabled: bool = True
    services: list[str] = Field(default_factory=list[str])
    environment: str | None = None
    act: bool = False
    sudo: bool = False


class SshSettings(Part):
    """A machine reached over SSH. Its host key is always checked: `host_key`, else `known_hosts`, else ssh's own."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    address: str | None = None
    port: int = Field(default=22, ge=1, le=65535)
    user: str | None = None
    key: str | None = None
    passphrase: str | None = None
    known_hosts: Path | None = None
    host_key: str | None = None
    services: list[str] = Field(default_factory=list[str])
    environment: str | None = None
    act: bool = False
    sudo: bool = False

    @field_validator("key", "passphrase")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(REFERENCE):
            raise ValueError(REFERENCES)
        return value


class HostsSettings(Part):
    """Machines whose services are plain processes or systemd units."""

    local: LocalSettings = Field(default_factory=LocalSettings)
    ssh: list[SshSettings] = Field(default_factory=list[SshSettings])

    @field_validator("ssh")
    @classmethod
    def _unique(cls, value: list[SshSettings]) -> list[SshSettings]:
        names = [machine.name for machine in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the name {twice} is there twice")
        return value
