"""Where a server's logs are, and their new lines: files on this machine read as they grow, streams followed."""

import asyncio
import os
import posixpath
from collections.abc import AsyncIterator, Mapping
from functools import partial

from watchkeeper.connectors.listening import listen
from watchkeeper.connectors.nginx.configuration import Configuration
from watchkeeper.connectors.nginx.files import Files, resolve
from watchkeeper.connectors.nginx.traffic import Traffic
from watchkeeper.domain import Host
from watchkeeper.hosts import ServiceHost
from watchkeeper.hosts.shell import script

_AT_ONCE = 1 << 20
"""Bytes of one file read with one look; what comes beyond is passed over, and counted by the line."""
_STREAMS = ("/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/self/fd/2", "/dev/fd/1", "/dev/fd/2")


class Logs:
    """Feeds a server's logs into its `traffic`. What cannot be read is in `unread`, with why."""

    def __init__(self, host: Host | None, name: str) -> None:
        self.traffic = Traffic()
        self.unread: dict[str, str] = {}
        self.access = self.errors = False
        """Whether such a log is read at all."""
        self.since = 0.0
        self._host = host
        self._name = name
        self._files: dict[str, tuple[int, int]] = {}
        """Inode and offset, by path."""
        self._formats: list[str] = []
        self._following: dict[str, asyncio.Task[None]] = {}
        self._wanted: tuple[object, ...] = ()

    async def close(self) -> None:
        """Follow no more."""
        for task in self._following.values():
            task.cancel()
        await asyncio.gather(*self._following.values(), return_exceptions=True)
        self._following.clear()

    async def attend(self, configuration: Configuration, files: Files) -> None:
        """Read what this configuration logs to, from now on; called again when it changed."""
        logs = [*configuration.access_logs, *configuration.error_logs]
        wanted = (tuple(logs), files.root)
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self.since = asyncio.get_running_loop().time()
        self._formats = list(dict.fromkeys(log.format for log in configuration.access_logs))
        self.unread, self.access, self.errors = {}, False, False
        known, self._files = self._files, {}
        streams: set[str] = set()
        for log in logs:
            where = self._place(log.path, files)
            if where == "stdout" or (where == "far" and isinstance(self._host, ServiceHost)):
                streams.add("" if where == "stdout" else log.path)
            elif where == "far":
                self.unread[log.path] = "it is a file on another machine"
                continue
            elif where == "file":
                self._files[log.path] = known.get(log.path) or _end(files, log.path)
            else:
                continue
            self.access |= bool(log.format)
            self.errors |= not log.format
        await self._follow(streams)

    def _place(self, path: str, files: Files) -> str:
        if path in _STREAMS:
            return "stdout"
        if path == "/dev/null":
            return ""
        if files.root is None:
            return "far"
        for _ in range(5):  # a link to a stream is not followed to its end: that would be ours
            try:
                link = os.readlink(f"{resolve(files.root, posixpath.dirname(path))}/{posixpath.basename(path)}")
            except OSError:
                return "file"
            if link in _STREAMS or link.startswith("/proc/"):
                return "stdout"
            path = posixpath.join(posixpath.dirname(path), link)
        return "file"

    async def _follow(self, streams: set[str]) -> None:
        for path in [path for path in self._following if path not in streams]:
            self._following.pop(path).cancel()
        for path in streams - self._following.keys():
            following = listen(partial(self._lines, path), self._take, self._passed)
            self._following[path] = asyncio.create_task(following, name=f"log {path or 'output'} of {self._name}")

    def _take(self, at: float, line: str) -> None:
        self.traffic.line(at, line, self._formats)

    def _passed(self) -> None:
        self.traffic.unread += 1

    async def _lines(self, path: str) -> AsyncIterator[str]:
        if path and isinstance(self._host, ServiceHost):
            async for raw in self._host.machine.shell.follow(script("tail"), [path]):
                yield raw.decode(errors="replace").rstrip("\r\n")
        elif self._host is not None:
            async for _, line in self._host.logs():
                yield line

    async def drain(self, files: Files) -> None:
        """Take what was written to files since the last time."""
        if self._files and files.root is not None:
            fresh = await asyncio.to_thread(_grown, files.root, self._files)
            present = asyncio.get_running_loop().time()
            for path, (inode, offset, lines, passed) in fresh.items():
                self._files[path] = (inode, offset)
                self.traffic.unread += passed
                for line in lines:
                    self.traffic.line(present, line, self._formats)


def _end(files: Files, path: str) -> tuple[int, int]:
    try:
        known = os.stat(resolve(files.root or "", path))
    except OSError:
        return 0, 0
    return known.st_ino, known.st_size


def _grown(root: str, known: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int, list[str], int]]:
    """By path: inode, where it ends now, its new lines, and how many bytes were passed over."""
    found: dict[str, tuple[int, int, list[str], int]] = {}
    for path, (inode, offset) in known.items():
        try:
            with open(resolve(root, path), "rb") as file:
                now = os.fstat(file.fileno())
                begin = offset if now.st_ino == inode and now.st_size >= offset else 0  # rotated: from its beginning
                passed = max(0, now.st_size - begin - _AT_ONCE)
                file.seek(begin + passed)
                content = file.read(_AT_ONCE)
        except OSError:
            continue
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode(errors="replace").splitlines()
        found[path] = (now.st_ino, begin + passed + len(whole), lines[1:] if passed else lines, int(passed > 0))
    return found
