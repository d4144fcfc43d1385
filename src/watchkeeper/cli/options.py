"""What is asked for on the command line besides the command: configuration, data, server, and how to print."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ssl import SSLContext

    from watchkeeper.cli.client import Client
    from watchkeeper.settings import ServerSettings, Settings

ADDRESS = "url"
"""The file in the data directory that says where the server that uses it listens."""

TOKEN = "WATCHKEEPER_TOKEN"
MOST = 100
"""Resources shown without being asked for more: the worst."""
WITH_VALUE = ("--config", "--data", "--url")
FLAGS = ("--json", "--version")


@dataclass
class Options:
    """The options every command takes, before its name or after it."""

    config: Path | None = None
    data: Path | None = None
    url: str | None = None
    json: bool = False
    _settings: "Settings | None" = None

    @staticmethod
    def of(context: typer.Context) -> "Options":
        return context.ensure_object(Options)

    def settings(self) -> "Settings":
        """The configuration, with what the command line says over it. Raises ConfigurationError."""
        if self._settings is None:
            from watchkeeper.settings import load_settings

            settings = load_settings(self.config)
            data = (self.data or settings.data).expanduser().absolute()
            self._settings = settings.model_copy(update={"data": data})
        return self._settings

    def file(self) -> Path | None:
        """The configuration in use, whole; None where there are only defaults."""
        from watchkeeper.settings import configuration_file

        found = configuration_file(self.config)
        return found.absolute() if found else None

    def address(self) -> str:
        """Where the server is: as told (`--url`, WATCHKEEPER_URL), as the one with these data said, as configured."""
        if self.url:
            return self.url.rstrip("/")
        settings = self.settings()
        try:
            return (settings.data / ADDRESS).read_text().strip()
        except OSError:
            return listening_at(settings.server)

    def client(self) -> "Client":
        """A client of the server, with the token in WATCHKEEPER_TOKEN, else the operator's where it may be read."""
        import os

        from watchkeeper.cli.client import Client

        meant = None if self.url else self.settings().data
        if own := os.environ.get(TOKEN, "").strip():
            return Client(self.address(), own, trusted=self.trusted(), data=meant)
        file = self.settings().data / "token"
        try:
            token = file.read_text().strip()
        except OSError:
            token = ""
        return Client(self.address(), token, file, trusted=self.trusted(), data=meant)

    def trusted(self) -> "SSLContext | None":
        """What proves that it is the server of this configuration: its certificate and no other, whatever the name."""
        tls = self.settings().server.tls
        if tls is None or self.url:
            return None
        from watchkeeper.cli.trust import pinned

        return pinned(tls.certificate)


def listening_at(server: "ServerSettings") -> str:
    """The URL by which a server that listens there is reached from here."""
    host, port, scheme = server.host, server.port, "https" if server.tls else "http"
    here = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"{scheme}://[{here}]:{port}" if ":" in here else f"{scheme}://{here}:{port}"


def hoisted(arguments: Sequence[str], commands: Sequence[str]) -> tuple[list[str], str | None]:
    """The options of every command moved before its name, so that they may stand anywhere; and that name. Commands of
    other packages, those not in `commands`, keep what is theirs.

    >>> hoisted(["status", "--json", "--data", "d"], ["status"])
    (['--json', '--data', 'd', 'status'], 'status')
    """
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, _ = argument.partition("=")
        own = not rest or rest[0] in commands
        if argument == "--" or not own:
            rest += [argument, *left]
            break
        if name in WITH_VALUE:
            front += [argument] if equals or not left else [argument, left.pop(0)]
        elif argument in FLAGS:
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest, next((word for word in rest if not word.startswith("-")), None)
