"""Which of a host's processes is a Redis, where it listens, and with which password one gets in."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from watchkeeper.connectors.commands import starts
from watchkeeper.domain import ConfigurationError, Host, Resource, WatchkeeperError
from watchkeeper.settings import secret

SERVERS = frozenset({"redis-server", "valkey-server", "keydb-server"})
SENTINELS = frozenset({"redis-sentinel", "valkey-sentinel"})
_TITLE_PORT = re.compile(r"\S*:(\d+)(?:\s|$)")
_PORT = re.compile(r"--port[\s=]+(\d+)")
_REQUIREPASS = re.compile(r"--requirepass[\s=]+(\S+)")
_PASSWORD_VARIABLES = ("REDIS_PASSWORD", "VALKEY_PASSWORD", "KEYDB_PASSWORD")


def is_server(processes: Sequence[str]) -> bool:
    """Whether one of these commands is a server: by its name, or started by a shell or an entry point script."""
    return any(_is_server(command) for command in processes)


def is_sentinel(processes: Sequence[str]) -> bool:
    """Whether one of these commands is a Sentinel: it speaks like a server, and keeps no data."""
    return any(_is_sentinel(command) for command in processes)


def _is_sentinel(command: str) -> bool:
    marked = "[sentinel]" in command or "--sentinel" in command
    return starts(command, SENTINELS | SERVERS if marked else SENTINELS) is not None


def sentinel_port(processes: Sequence[str]) -> int:
    """The port from the title of the running Sentinel or its arguments; else the default."""
    for command in filter(_is_sentinel, processes):
        rest = command.split(None, 1)[1] if " " in command else ""
        if match := _TITLE_PORT.match(rest) or _PORT.search(command):
            return int(match[1])
    return 26379


def _is_server(command: str) -> bool:
    marked = "[sentinel]" in command or "--sentinel" in command
    return not marked and starts(command, SERVERS) is not None


def port(processes: Sequence[str]) -> int:
    """The port from the title of the running process (`redis-server *:6379`) or its arguments; else the default."""
    for command in filter(_is_server, processes):
        rest = command.split(None, 1)[1] if " " in command else ""
        if match := _TITLE_PORT.match(rest) or _PORT.search(command):
            return int(match[1])
    return 6379


async def password(resource: Resource, host: Host | None) -> str | None:
    """The password: from the reference in the settings, else as its container was given it. Never kept, never shown."""
    if reference := resource.settings.get("password"):
        return secret(str(reference))
    if host is None:
        return None
    try:
        given = await host.environment()
        commands = await host.processes()
    except WatchkeeperError:
        return None
    for command in commands:
        if (match := _REQUIREPASS.search(command)) and match[1] not in ("''", '""'):
            return _expanded(match[1].strip("'\""), given)
    return next((given[name] for name in _PASSWORD_VARIABLES if given.get(name)), None)


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}` as the shell that starts the server would read them."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], found[0]), text)


def patterns(said: Any) -> tuple[str, ...]:
    """The declared cache patterns: comma separated globs or a list of them. Raises ConfigurationError."""
    if said is None:
        return ()
    if isinstance(said, str):
        return tuple(dict.fromkeys(glob for part in said.split(",") if (glob := part.strip())))
    if isinstance(said, list) and all(isinstance(glob, str) for glob in cast(list[Any], said)):
        return tuple(dict.fromkeys(cast(list[str], said)))
    raise ConfigurationError("cache_keys must be globs, comma separated or as a list.", 'For example "cache:*,page:*".')
