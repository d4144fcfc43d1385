"""Which of a host's processes is a PgBouncer, where it listens, and as whom one gets into its console."""

import configparser
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from watchkeeper.connectors.commands import starts
from watchkeeper.domain import Host, Resource, WatchkeeperError
from watchkeeper.settings import secret

PORT = 6432
_INCLUDE = re.compile(r"^\s*%include\b.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Login:
    """As whom one gets into the console. The password is never kept longer than the attempt, and never shown."""

    user: str
    password: str | None


def is_pooler(processes: Sequence[str]) -> bool:
    """Whether one of these commands is a PgBouncer: by its name, or started by a shell or an entry point script.

    >>> is_pooler(["/usr/sbin/pgbouncer -d /etc/pgbouncer/pgbouncer.ini"]), is_pooler(["pgbouncer_exporter"])
    (True, False)
    """
    return any(_arguments(command) is not None for command in processes)


def configuration(processes: Sequence[str]) -> str:
    """The path of its configuration, from its arguments; empty where they name none."""
    for command in processes:
        for word in reversed(_arguments(command) or ()):
            if word.endswith(".ini") or (word.startswith("/") and "." in posixpath.basename(word)):
                return word
    return ""


def is_quiet(processes: Sequence[str]) -> bool:
    """Whether it was told to say nothing on its output, or to leave it.

    >>> is_quiet(["pgbouncer -dR /etc/pgbouncer.ini"]), is_quiet(["pgbouncer -u postgres /etc/pgbouncer.ini"])
    (True, False)
    """
    words = [word for command in processes for word in _arguments(command) or ()]
    short = [word for word in words if re.fullmatch(r"-\w+", word)]
    return any({"d", "q"} & set(word) for word in short) or bool({"--daemon", "--quiet"} & set(words))


def _arguments(command: str) -> Sequence[str] | None:
    """What stands behind its name; None for another program."""
    at = starts(command, {"pgbouncer"})
    return None if at is None else [word.strip("'\"") for word in command.split()[at + 1 :]]


async def port_of(host: Host, processes: Sequence[str]) -> int:
    """`listen_port` of its configuration where that may be read, else what its container was told, else where a
    process is seen to listen, else the default."""
    given = await host.environment()
    told = next((given[name] for name in ("PGBOUNCER_PORT", "LISTEN_PORT") if given.get(name, "").isdigit()), "")
    told = told or host.labels.get("service.port", "")
    path = configuration(processes)
    try:
        said = listen_port((await host.read_file(path)).decode(errors="replace")) if path else 0
    except (WatchkeeperError, TimeoutError, OSError):
        said = 0
    return said or int(told or PORT)


def listen_port(text: str) -> int:
    """`listen_port` in a pgbouncer.ini; 0 where it is not said.

    >>> listen_port("[databases]\\nshop = host=db\\n[pgbouncer]\\nlisten_port = 6543\\n")
    6543
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    try:
        parser.read_string(_INCLUDE.sub("", text))
        said = parser.get("pgbouncer", "listen_port", fallback="").strip("'\" ")
    except configparser.Error:
        return 0
    return int(said) if said.isdigit() else 0


def login(resource: Resource) -> Login:
    """From the settings. Raises ConfigurationError."""
    reference = resource.settings.get("password")
    return Login(user(resource), secret(str(reference)) if reference else None)


def user(resource: Resource) -> str:
    """Whose password it is: `pgbouncer` where nobody is named."""
    settings: Mapping[str, Any] = resource.settings
    return str(
        settings.get("username") or unquote(urlsplit(str(settings.get("url") or "")).username or "") or "pgbouncer"
    )
