"""With what a plain server process is started again. It writes a title over its command line, so only it can tell.

`redis-server FILE -` reads its file, if it has one, and then what it is told on standard input: here every setting that
is in force, so that it comes back as it was when it was last looked at. What `CONFIG GET` does not tell (renamed
commands, included files, users of an ACL) comes from its file alone.
"""

import posixpath
from collections.abc import Mapping

from watchkeeper.connectors.redis.figures import info, pairs
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.hosts import ServiceHost

_WORDS = frozenset({"bind", "oom-score-adj-values", "latency-tracking-info-percentiles", "replicaof"})
"""Settings that take several words."""
_LINES = {"save": 2, "client-output-buffer-limit": 4}
"""Settings that take several lines of so many words."""
_EMPTY = frozenset({"save"})
"""Settings for which nothing is something else than their default."""
_OTHER_NAMES = ("slave", "min-slaves", "cluster-slave")


async def tell(session: RedisSession) -> None:
    """Tell the host what the server was started with and where it logs to. Raises Trouble."""
    host = session.host
    if not isinstance(host, ServiceHost):
        return
    told = await session.call("CONFIG", "GET", "*" if host.needs_telling else "logfile")
    settings = pairs(told)
    directory = settings.get("dir") or pairs(await session.call("CONFIG", "GET", "dir")).get("dir", "/")
    log = settings.get("logfile", "")
    log = posixpath.join(directory, log) if log else ""
    if not host.needs_telling:
        host.told(log=log)
        return
    file = info(await session.call("INFO", "server")).get("config_file", "")
    host.told(arguments=[file, "-"] if file else ["-"], content=configuration(settings).encode(), log=log)


def configuration(settings: Mapping[str, str]) -> str:
    """A configuration file out of `CONFIG GET *`."""
    lines: list[str] = []
    for name, value in settings.items():
        words = value.split()
        if name.startswith(_OTHER_NAMES) or (not words and name not in _EMPTY):
            continue
        if not words:
            lines.append(f'{name} ""')
        elif size := _LINES.get(name):
            lines += [f"{name} {' '.join(map(_quoted, words[at : at + size]))}" for at in range(0, len(words), size)]
        else:
            lines.append(f"{name} {' '.join(map(_quoted, words if name in _WORDS else [value]))}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    raw = text.encode(errors="surrogateescape")
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in raw) + '"'
