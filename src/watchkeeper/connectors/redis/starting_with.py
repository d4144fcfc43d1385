"""With what a Redis that does not run would start: what its command line and its file say, and else its defaults."""

import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise

from watchkeeper.connectors.commands import starts
from watchkeeper.connectors.redis.declared import SETTINGS, made
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import WatchkeeperError
from watchkeeper.domain.drift import Declared
from watchkeeper.hosts import ContainerHost, ServiceHost

DEFAULTS = {
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "maxclients": "10000",
    "appendonly": "no",
    "appendfsync": "everysec",
    "timeout": "0",
}
"""redis.io, redis.conf of 4.0 to 8.0."""
_PROGRAMS = frozenset({"redis-server", "valkey-server"})
_INCLUDE = re.compile(r"^[ \t]*include[ \t]", re.MULTILINE | re.IGNORECASE)
_ENTRY = "docker-entrypoint.sh"
"""Of the official images: it hands on what it is given."""


async def starting_with(session: RedisSession, live: Mapping[str, str]) -> list[Declared]:
    """Each setting of `live`, which was in force when it was last looked at, with what the next start gives it. Only
    what is known for sure: nothing where its command or its file cannot be read, or the file includes others. A plain
    process is none of them: it is started again with the settings that were in force.

    Raises WatchkeeperError, TimeoutError.
    """
    host = session.host
    if not (isinstance(host, ContainerHost) or (isinstance(host, ServiceHost) and host.unit)):
        return []
    words = next(
        (found for command in reversed(await host.processes()) if (found := _arguments(command)) is not None), None
    )
    if words is None:
        return []
    file = words[0] if words and not words[0].startswith("-") else ""
    text = ""
    if file:
        try:
            text = (await host.read_file(file)).decode()
        except (WatchkeeperError, UnicodeDecodeError):
            return []
    told: list[Declared] = []
    for name in SETTINGS:
        if name not in live:
            continue
        given, where = _given(words, name), "its command line"
        if given is None and _INCLUDE.search(text):
            continue
        if given is None:
            found = re.findall(rf"^[ \t]*{name}[ \t]+([^\s#]+)", text, re.MULTILINE | re.IGNORECASE)
            given, where = (found[-1], file) if found else (DEFAULTS[name], "no file")
        told.append(made(name, live[name], given, where, f"{name} {given}", None, ""))
    return told


def _arguments(command: str) -> Sequence[str] | None:
    """What stands behind the program's name; None where that is not what is started, or a shell has a say in it.

    >>> _arguments("docker-entrypoint.sh redis-server --maxmemory 20mb"), _arguments("sh -c 'redis-server $MORE'")
    (['--maxmemory', '20mb'], None)
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words and words[0].rpartition("/")[2] == _ENTRY:
        words = words[1:]
    direct = bool(words) and starts(words[0], _PROGRAMS) == 0 and words[-1:] != ["-"]
    return words[1:] if direct and not any("$" in word for word in words) else None


def _given(words: Sequence[str], name: str) -> str | None:
    """The last that the command line says of it.

    >>> _given(["--maxmemory", "1gb", "--timeout", "5", "--maxmemory", "2gb"], "maxmemory")
    '2gb'
    """
    said = [after for word, after in pairwise(words) if word.lower() == f"--{name}"]
    return said[-1] if said else None
