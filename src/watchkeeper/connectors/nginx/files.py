"""The configuration files of a server, wherever they are: read, listed, and told when they change.

Of what runs on this machine they are looked at directly, below `/proc/PID/root` for a container; else by a command.
"""

import asyncio
import fnmatch
import os
import posixpath
from collections.abc import Mapping, Sequence

from watchkeeper.domain import Host, NotFound, WatchkeeperError

_LINKS = 40
_LARGEST = 4 << 20
_LIST = 'IFS="\n"; for p in "$@"; do for f in $p; do [ -f "$f" ] && echo "$f"; done; done; :'
_STAMP = 'IFS="\n"; for p in "$@"; do for f in $p; do [ -f "$f" ] && stat -Lc "%n %s %Y %i" "$f"; done; done; :'
"""Without IFS in the pattern a name with a space is one name."""


class Files:
    """`root` is where the server's file system lies on this machine (empty: it is ours); None where it is elsewhere."""

    def __init__(self, host: Host | None, root: str | None) -> None:
        self._host = host
        self.root = root

    @property
    def near(self) -> bool:
        """Whether looking at them costs next to nothing."""
        return self.root is not None

    async def expand(self, patterns: Sequence[str]) -> dict[str, list[str]]:
        """The files each pattern means, in order of their names. Raises WatchkeeperError."""
        if self.root is not None:
            return await asyncio.to_thread(self._expand_here, self.root, patterns)
        return {pattern: (await self._command(_LIST, [pattern])).splitlines() for pattern in patterns}

    async def stamp(self, patterns: Sequence[str]) -> str:
        """Changes when one of the files does, appears or goes. Raises WatchkeeperError."""
        if self.root is not None:
            return await asyncio.to_thread(self._stamp_here, self.root, patterns)
        return await self._command(_STAMP, patterns)

    async def read(self, path: str) -> bytes:
        """Raises NotFound, WatchkeeperError."""
        if self.root is not None:
            try:
                return await asyncio.to_thread(_read, resolve(self.root, path))
            except OSError as problem:
                raise NotFound(f"{path} cannot be read: {problem.strerror}.") from None
        if self._host is None:
            raise NotFound("It is known only by its address: its files cannot be read.")
        return await self._host.read_file(path)

    async def changed_at(self, patterns: Sequence[str]) -> float | None:
        """When a file was changed last, as this machine's clock has it; None where the files are elsewhere."""
        if self.root is None:
            return None
        return await asyncio.to_thread(self._newest_here, self.root, patterns)

    async def _command(self, script: str, arguments: Sequence[str]) -> str:
        if self._host is None:
            raise NotFound("It is known only by its address: its files cannot be read.")
        done = await self._host.exec(["sh", "-c", script, "sh", *arguments], timeout=5.0)
        if done.exit_code:
            raise WatchkeeperError(f"Its files cannot be listed: {done.stderr.strip()[:200]}")
        return done.stdout

    @staticmethod
    def _expand_here(root: str, patterns: Sequence[str]) -> dict[str, list[str]]:
        return {pattern: matching(root, pattern) for pattern in patterns}

    @staticmethod
    def _stamp_here(root: str, patterns: Sequence[str]) -> str:
        lines: list[str] = []
        for path in (path for pattern in patterns for path in matching(root, pattern)):
            try:
                known = os.stat(resolve(root, path))
            except OSError:
                continue
            lines.append(f"{path} {known.st_size} {known.st_mtime_ns} {known.st_ino}")
        return "\n".join(lines)

    @staticmethod
    def _newest_here(root: str, patterns: Sequence[str]) -> float | None:
        found: list[float] = []
        for path in (path for pattern in patterns for path in matching(root, pattern)):
            try:
                found.append(os.stat(resolve(root, path)).st_mtime)
            except OSError:
                continue
        return max(found, default=None)


def resolve(root: str, path: str) -> str:
    """Where a path within `root` really is, with every link followed as whoever lives there follows it: an absolute
    link in a container must not lead to a file of ours. Raises OSError for a circle."""
    todo, there = [part for part in path.split("/") if part], ""
    links = 0
    while todo:
        part = todo.pop(0)
        if part == ".":
            continue
        if part == "..":
            there = posixpath.dirname(there).rstrip("/")
            continue
        beyond = f"{there}/{part}"
        if not os.path.islink(root + beyond):
            there = beyond
            continue
        links += 1
        if links > _LINKS:
            raise OSError(f"too many links in {path}")
        target = os.readlink(root + beyond)
        if target.startswith("/"):
            there = ""
        todo = [*(word for word in target.split("/") if word), *todo]
    return root + (there or "/")


def matching(root: str, pattern: str) -> list[str]:
    """The regular files within `root` that a glob means, sorted; names that begin with a dot are none of them."""
    found = [""]
    for part in (part for part in pattern.split("/") if part):
        if not any(mark in part for mark in "*?["):
            found = [f"{folder}/{part}" for folder in found]
            continue
        deeper: list[str] = []
        for folder in found:
            try:
                names = sorted(os.listdir(resolve(root, folder)))
            except OSError:
                continue
            deeper += [f"{folder}/{n}" for n in names if fnmatch.fnmatchcase(n, part) and not n.startswith(".")]
        found = deeper
    return [path for path in found if _is_file(root, path)]


def _is_file(root: str, path: str) -> bool:
    try:
        return os.path.isfile(resolve(root, path))
    except OSError:
        return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise OSError(27, "it is larger than 4 MB")
    return content


def changed(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """The files that are not the same, sorted."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
