"""A Redis' settings, live and as its redis.conf or its command line declares them."""

import posixpath
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from watchkeeper.connectors import compose
from watchkeeper.connectors.redis.configuration import ask
from watchkeeper.connectors.redis.figures import info
from watchkeeper.connectors.redis.session import RedisSession
from watchkeeper.domain import WatchkeeperError
from watchkeeper.domain.change import mebibytes
from watchkeeper.domain.drift import Declared, Edit, size
from watchkeeper.hosts import ServiceHost

SETTINGS = ("maxmemory", "maxmemory-policy", "maxclients", "appendonly", "appendfsync", "timeout")
_TITLED = "Redis writes a title over its command line: what that declares cannot be read any more"


async def declared(session: RedisSession) -> list[Declared]:
    """Each setting that CONFIG GET tells. Raises WatchkeeperError where the server does not answer."""
    live = await ask(session)
    conf = info(await session.call("INFO", "server")).get("config_file", "")
    host = session.host
    commands = [c for c in (await host.processes() if host else ()) if "--" in c]
    text, file, why = await _conf(session, conf)
    titled = isinstance(host, ServiceHost) and host.needs_telling
    told: list[Declared] = []
    for name in SETTINGS:
        if name not in live:
            continue
        new = _written(name, live[name])
        found = next((m for c in commands if (m := re.search(rf"--{name}[\s=]+[\"']?([^\s\"']+)", c))), None)
        if found and host is not None:
            told.append(_by_command(name, live[name], new, found[1], dict(host.labels)))
        else:
            one = _by_file(name, live[name], new, text, file, why)
            if titled and not conf:
                one = replace(one, line=f"--{name} {new}", where="its command line", why_not=_TITLED, lost=True)
            told.append(one)
    return told


def _by_command(name: str, live: str, new: str, given: str, labels: dict[str, str]) -> Declared:
    """The command line wins over the file; it stands in a compose file, where there is one."""
    files, why = compose.of(labels)
    place, where = compose.Place(None, None, why), "its command line"
    for one in files:
        place, where = one.flag(name, new), one.file
        if place.value is not None or "variable" in place.why_not:
            break
    value = place.value if place.value is not None else given
    return made(name, live, value, where, f"--{name} {new}", place.edit, place.why_not)


def _by_file(name: str, live: str, new: str, text: str | None, file: str, why: str) -> Declared:
    line = f"{name} {new}"
    if text is None:
        where, line = (file, line) if file else ("its command line", f"--{line}")
        return made(name, live, None, where, line, None, why)
    found = list(re.finditer(rf"^[ \t]*{name}[ \t]+([^\s#]+)[^\n]*$", text, re.MULTILINE | re.IGNORECASE))
    if found:
        span = found[-1].span(1)
        return made(name, live, found[-1][1], file, line, None if why else Edit(file, text, *span, new), why)
    if re.search(r"^[ \t]*include[ \t]", text, re.MULTILINE):
        return made(name, live, None, file, line, None, "it may be set in a file that this one includes")
    start = "" if text.endswith("\n") or not text else "\n"
    edit = Edit(file, text, len(text), len(text), f"{start}{line}\n")
    return made(name, live, None, file, line, None if why else edit, why)


def made(name: str, live: str, given: str | None, where: str, line: str, edit: Edit | None, why_not: str) -> Declared:
    """One setting; what is written otherwise and means the same (`1gb`) is as it is live."""
    value = None if given is None else given.strip("'\"")
    if value is not None and (value == live or (name == "maxmemory" and size(value) == int(live))):
        value = live
    told = None if value is None else _said(name, value)
    # A server lowers maxclients by itself where it may not open so many files.
    return Declared(name, name, _said(name, live), told, where, line, edit, why_not, name != "maxclients")


async def _conf(session: RedisSession, conf: str) -> tuple[str | None, str, str]:
    """Its content, the file by its name here, and why it cannot be patched here."""
    if not conf:
        return None, "", "it was started without a configuration file"
    host: Any = session.host
    conf = posixpath.normpath(conf)
    try:
        if host is None:
            if session.resource.provider != "local":
                return None, conf, f"{conf} is on another machine"
            return _content(conf), conf, ""
        here = await _bound(host, conf)
        if here:
            return _content(here), here, ""
        return (await host.read_file(conf)).decode(), conf, f"{conf} is inside {host.name}, not a file of this machine"
    except (OSError, WatchkeeperError, UnicodeDecodeError):
        return None, conf, f"{conf} cannot be read from here"


async def _bound(host: Any, path: str) -> str | None:
    """The file of this machine that is mounted there."""
    if not hasattr(host, "inspect"):
        return path if str(host.id).startswith("local") else None
    mounts: list[dict[str, Any]] = (await host.inspect(fresh=False)).get("Mounts") or []
    for mount in mounts:
        inside = str(mount.get("Destination") or "").rstrip("/")
        if mount.get("Type") == "bind" and (path == inside or path.startswith(f"{inside}/")):
            here = posixpath.normpath(str(mount.get("Source")) + path[len(inside) :])
            if _is_file(here):
                return here
    return None


def _content(path: str) -> str:
    return Path(path).read_bytes().decode()


def _is_file(path: str) -> bool:
    return Path(path).is_file()


def _written(name: str, live: str) -> str:
    number = int(live) if name == "maxmemory" else 0
    return f"{number >> 20}mb" if number and number % (1 << 20) == 0 else live


def _said(name: str, value: str) -> str:
    number = size(value) if name == "maxmemory" else None
    return value if number is None else mebibytes(number) if number else "without limit"
