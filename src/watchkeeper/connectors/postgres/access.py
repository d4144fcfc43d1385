"""Which of a host's processes is a PostgreSQL, where it listens, and as whom one gets in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from watchkeeper.connectors.commands import starts
from watchkeeper.domain import ConfigurationError, Host, Resource
from watchkeeper.settings import secret

SERVERS = frozenset({"postgres", "postmaster"})
_PORT = re.compile(r"(?:^|\s)-p\s*(\d+)|(?:-c\s*|--)port=(\d+)")
_FOLDER = re.compile(r"(?:^|\s)-D\s*(\S+)|--data[-_]directory=(\S+)")


@dataclass(frozen=True, slots=True)
class Login:
    """As whom one gets in. The password is never kept longer than the attempt, and never shown."""

    user: str
    password: str | None
    database: str
    guessed: bool = False
    """Nobody named the user."""


def is_server(processes: Sequence[str]) -> bool:
    """Whether one of these commands is a server: by its name, or started by a shell or an entry point script.

    A backend (`postgres: writer`) is a part of a server that is listed too, or of one elsewhere.
    """
    return any(_is_server(command) for command in processes)


def _is_server(command: str) -> bool:
    return starts(command, SERVERS) is not None


def port(processes: Sequence[str], variables: Mapping[str, str]) -> int:
    """From the arguments of the server, else PGPORT, else the default."""
    for command in filter(_is_server, processes):
        if match := _PORT.search(command):
            return int(match[1] or match[2])
    given = variables.get("PGPORT", "")
    return int(given) if given.isdigit() else 5432


def data_folder(processes: Sequence[str], variables: Mapping[str, str]) -> str:
    """Where its files are, from the arguments of the server, else PGDATA, else as in the official image."""
    for command in filter(_is_server, processes):
        if match := _FOLDER.search(command):
            return match[1] or match[2]
    return variables.get("PGDATA") or "/var/lib/postgresql/data"


async def login(resource: Resource, host: Host | None) -> Login:
    """From the settings, else as its container was given them (POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB).

    Where no database is named it is `postgres`, which every cluster has: a user who only watches has none of its own
    name.
    """
    settings: Mapping[str, Any] = resource.settings
    url = urlsplit(str(settings.get("url") or ""))
    given = dict(await host.environment()) if host is not None else {}
    user = settings.get("username") or unquote(url.username or "") or given.get("POSTGRES_USER")
    database = settings.get("database") or url.path.strip("/") or given.get("POSTGRES_DB") or "postgres"
    password = given.get("POSTGRES_PASSWORD") or given.get("PGPASSWORD")
    if reference := settings.get("password"):
        password = secret(str(reference))
    elif not password and host is not None and (path := given.get("POSTGRES_PASSWORD_FILE")):
        password = (await host.read_file(path)).decode(errors="replace").strip()
    return Login(str(user or "postgres"), password, str(database), guessed=not user)


def protected(said: Any) -> tuple[str, ...]:
    """Applications and users whose sessions are never ended: comma separated or a list. Raises ConfigurationError."""
    if said is None:
        return ()
    if isinstance(said, str):
        return tuple(name for part in said.split(",") if (name := part.strip()))
    if isinstance(said, list):
        return tuple(str(name) for name in said)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise ConfigurationError(
        "`protect` must be names of applications or users.", 'For example "nightly-report,pg_dump".'
    )
