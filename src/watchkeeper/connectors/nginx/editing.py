"""Changing a configuration: one directive in place, tested, and the file as it was kept beside it.

What is kept bears a name that begins with a dot, which no `include` with a wildcard takes in.
"""

import asyncio
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from watchkeeper.connectors.nginx import learning, workers
from watchkeeper.connectors.nginx.configuration import Spot, digest
from watchkeeper.connectors.nginx.session import NginxSession
from watchkeeper.domain import NotFound, Refused, WatchkeeperError

RELOAD_SECONDS = 10.0
_POLL_SECONDS = 0.05
Contents = Mapping[str, bytes]


def replaced(content: bytes, line: int, name: str, old: str, new: str) -> bytes:
    """A file with the first argument of one directive changed. Raises Refused where it does not stand there."""
    lines = content.split(b"\n")
    pattern = re.compile(
        rb"(?<![\w$-])(" + re.escape(name.encode()) + rb"\s+)" + re.escape(old.encode()) + rb"(?=\s|;|$)"
    )
    text, number = pattern.subn(rb"\g<1>" + new.encode(), lines[line - 1], count=1)
    if not number:
        raise Refused(f"`{name} {old}` does not stand on line {line} as one line.", "Edit it by hand.")
    lines[line - 1] = text
    return b"\n".join(lines)


def inserted(content: bytes, line: int, directive: str) -> bytes:
    """A file with a directive on a line of its own before that line."""
    lines = content.split(b"\n")
    return b"\n".join([*lines[: line - 1], directive.encode(), *lines[line - 1 :]])


def weighted(content: bytes, line: int, address: str, weight: int) -> bytes:
    """A file with the weight of one `server` of an upstream changed; 0 marks it `down`. Raises Refused."""
    lines = content.split(b"\n")
    pattern = re.compile(rb"(?<![\w$-])(server\s+" + re.escape(address.encode()) + rb")(?=[\s;])([^;]*);")
    found = pattern.search(lines[line - 1])
    if not found:
        raise Refused(f"`server {address}` does not stand on line {line} as one line.", "Edit it by hand.")
    options = [word for word in found[2].split() if word != b"down" and not word.startswith(b"weight=")]
    options.insert(0, b"weight=%d" % weight if weight else b"down")
    text = found[1] + b" " + b" ".join(options) + b";"
    lines[line - 1] = lines[line - 1][: found.start()] + text + lines[line - 1][found.end() :]
    return b"\n".join(lines)


def kept_name(path: str, content: bytes) -> str:
    """Where a file as it was is kept: `.nginx.conf.watchkeeper-0123456789ab`."""
    return posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.watchkeeper-{digest({path: content})}")


async def as_it_is(session: NginxSession) -> dict[str, Any]:
    """What is on disk, and under which name each file would be kept. Changes nothing."""
    configuration = session.known()
    contents, _ = await session.read_files(configuration.main)
    return {
        "hash": digest(contents),
        "kept": {path: kept_name(path, content) for path, content in contents.items()},
    }


async def put(session: NginxSession, wanted: Contents) -> dict[str, str]:
    """Write these files, each as it was kept beside it; the names of what was kept. Raises WatchkeeperError."""
    assert session.host is not None
    kept: dict[str, str] = {}
    for path in wanted:
        try:
            content = await session.files.read(path)
        except NotFound:
            continue
        kept[path] = kept_name(path, content)
        await session.host.write_file(kept[path], content)
    for path, content in wanted.items():
        await session.host.write_file(path, content)
    return kept


async def put_back(session: NginxSession, kept: Mapping[str, str]) -> None:
    """The files as they were. Raises WatchkeeperError."""
    assert session.host is not None
    for path, name in kept.items():
        await session.host.write_file(path, await session.files.read(name))


async def undo(session: NginxSession, before: Mapping[str, Any], again: Callable[[Contents], Contents]) -> None:
    """What was kept comes back and is loaded, where what is there is what we made of it (`again` makes it anew): a
    change that somebody made since is not overwritten. Raises Refused."""
    kept: dict[str, bytes] = {}
    for path, name in before["kept"].items():
        try:
            kept[path] = await session.files.read(name)
        except NotFound:
            continue  # it was not changed
    made = {path: content for path, content in again(kept).items() if path in kept}
    for path, content in made.items():
        if await session.files.read(path) not in (content, kept[path]):
            raise Refused(
                f"{path} was changed since by somebody else, and is left as it is.",
                f"As it was before: {before['kept'][path]}.",
            )
    if made:
        await put_back(session, {path: before["kept"][path] for path in made})
        await learning.now(session)
        await reload(session)


async def aside(session: NginxSession, path: str) -> str:
    """Move a file to the name under which it would be kept, which nginx does not read. Raises WatchkeeperError."""
    assert session.host is not None
    beside = kept_name(path, await session.files.read(path))
    done = await session.host.exec(["mv", "--", path, beside], timeout=5.0)
    if done.exit_code:
        raise WatchkeeperError(f"{path} cannot be moved aside: {done.stderr.strip()[:200]}")
    return beside


async def reload(session: NginxSession) -> dict[str, Any]:
    """Load what is on disk, and wait until new workers serve; the old ones finish what they have begun. Raises
    Refused where it does not test good, WatchkeeperError where nothing came of it."""
    tested = await session.test()
    if not tested.good:
        raise Refused(f"Its configuration is not valid, and nothing was loaded: {tested.said}")
    before = session.family.generation if session.family else ""
    done = await session.nginx("-s", "reload", timeout=8.0)
    if done.exit_code:
        raise WatchkeeperError(f"It could not be told to reload: {done.stderr.strip()[:300]}")
    if session.pid:
        await _until_new(session, before)
    await learning.now(session)
    return {"workers": session.family.generation if session.family else ""}


async def _until_new(session: NginxSession, before: str) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + RELOAD_SECONDS
    while True:
        session.family = await asyncio.to_thread(workers.family, session.pid)
        old = set(before.split(","))
        present = set(session.family.generation.split(",")) if session.family else set[str]()
        if present - {""} and not present & old:
            return
        if loop.time() > until:
            raise WatchkeeperError(
                f"No new workers came within {RELOAD_SECONDS:g} s: its error log says why; the old ones serve on."
            )
        await asyncio.sleep(_POLL_SECONDS)


async def change(session: NginxSession, wanted: Contents) -> dict[str, Any]:
    """Write, test, reload; everything as it was where any of it fails. Raises Refused, WatchkeeperError."""
    kept = await put(session, wanted)
    try:
        await learning.now(session)
        await reload(session)
    except BaseException:
        await asyncio.shield(put_back(session, kept))
        raise
    return {"kept": kept}


def edited(contents: Contents, spot: Spot, name: str, old: str, new: str) -> dict[str, bytes]:
    """The file of one directive with its value changed."""
    return {spot.file: replaced(contents[spot.file], spot.line, name, old, new)}
