"""A container's configuration files: which they are, whether they changed since it last ran well, and the way back."""

import asyncio
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from watchkeeper.domain import HostState, NotFound, WatchkeeperError, now
from watchkeeper.hosts import ContainerHost, mounts
from watchkeeper.hosts.answers import items, part
from watchkeeper.hosts.kept import LARGEST, hash_of

LABEL = "watchkeeper.config"
"""Paths, separated by commas, in place of what is inferred; empty: none."""
MOST = 8
EVERY = 10.0
"""Seconds between two looks at the files of what runs well."""
GOOD_AFTER = timedelta(seconds=10)
"""A container that has run for so long since it read a file runs well with it."""
SHOWN = 12
"""Digits of a hash that are told."""
GONE = "gone"
_CONFIG = re.compile(r"(/[\w.+@-]+)+\.(?:toml|ya?ml|json|ini|conf|cnf|cfg|properties|env|xml|hcl)$")
_NEVER = ("/proc/", "/sys/", "/dev/", "/run/secrets/", "/usr/share/", "/usr/lib/")


def held(shown: Mapping[str, Any], path: str, name: str) -> str:
    """Why the engine cannot put another content there, and where that is to be done; empty where it can. A file that is
    mounted by itself, or read-only, is the machine's."""
    if why := mounts.barred(shown, path):
        return why
    mount = mounts.alone(shown, path)
    return f"{path} is mounted from {mount.get('Source')}: put it back there, then restart {name}." if mount else ""


def candidates(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of its configuration files: labelled, else named in its command or a variable, or mounted one by one."""
    labels = part(shown, "Config", "Labels")
    if LABEL in labels:
        return tuple(path for word in str(labels[LABEL]).split(",") if (path := word.strip()).startswith("/"))[:MOST]
    return tuple(dict.fromkeys(path for path in _inferred(shown) if not path.startswith(_NEVER)))[:MOST]


def _inferred(shown: Mapping[str, Any]) -> Iterator[str]:
    words = [str(shown.get("Path") or ""), *map(str, items(shown, "Args"))]
    words += [str(entry).partition("=")[2] for entry in items(part(shown, "Config"), "Env")]
    words += [str(mount.get("Destination") or "") for mount in items(shown, "Mounts")]
    for word in words:
        plain = word.rpartition("=")[2]
        if _CONFIG.fullmatch(plain):
            yield posixpath.normpath(plain)


@dataclass
class Files:
    """What is known of them. `good`: the hash of each with which it last ran well; `now`: as they are."""

    host: ContainerHost
    keeps: bool
    """Whether contents are kept: only where they may be put back."""
    now: dict[str, str] = field(default_factory=dict[str, str])
    good: dict[str, str] = field(default_factory=dict[str, str])
    stamps: dict[str, str] = field(default_factory=dict[str, str])
    _seen: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _unread: dict[str, int] = field(default_factory=dict[str, int])
    """By path, the start in which it was changed while it ran: its time may say otherwise (`docker cp` keeps it)."""
    _modified: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _due: float = 0.0
    _start: int = 0
    _recalled: bool = False

    @property
    def told(self) -> dict[str, str]:
        """Their hashes, as settings that are compared from look to look."""
        return {f"file {path}": digest[:SHOWN] for path, digest in self.now.items()}

    @property
    def changed(self) -> tuple[str, ...]:
        """Those that are not as they were when it last ran well."""
        return tuple(path for path, digest in self.good.items() if self.now.get(path, digest) != digest)

    def read_by(self, start: datetime | None) -> bool:
        """Whether a life that began then has read what was changed: it began after the change."""
        return start is not None and any(self._modified.get(path, start) <= start for path in self.changed)

    async def look(self, state: HostState, shown: Mapping[str, Any], *, well: bool) -> None:
        """Look at them where that is due. Raises WatchkeeperError where the engine does not answer."""
        loop = asyncio.get_running_loop()
        paths = candidates(shown)
        if not paths or (loop.time() < self._due and (well or self._start == state.start_count)):
            return
        known = all(path in self.good for path in paths)
        self._due, self._start = loop.time() + (EVERY if well and known else 1.0), state.start_count
        if not self._recalled:
            self.good, self._recalled = self.host.engine.kept.noted(self.host.incarnation), True
        for path in paths:
            await self._one(path, state, well=well)

    async def _one(self, path: str, state: HostState, *, well: bool) -> None:
        try:
            stat = await self.host.stat_file(path)
        except NotFound:
            if path in self.good:
                self.now[path] = GONE
            return
        if not 0 < stat.size <= LARGEST or not stat.regular:
            return
        stamp = f"{stat.modified.isoformat()} {stat.size}"
        if self.stamps.get(path) != stamp or path not in self.now:
            content = await self.host.read_file(path)
            digest = self.host.engine.kept.put(content) if self.keeps else hash_of(content)
            if self.now.get(path, digest) != digest and state.started_at and self._seen[path] >= state.started_at:
                self._unread[path] = state.start_count
            self.now[path], self.stamps[path] = digest, stamp
        self._seen[path], self._modified[path] = now(), stat.modified
        read = self._unread.get(path) != state.start_count
        if well and read and _proven(stat.modified, state) and self.good.get(path) != self.now[path]:
            self.good[path] = self.now[path]
            self.host.engine.kept.note(self.host.incarnation, self.good)

    async def put_back(self, path: str, digest: str) -> None:
        """Write a kept content. Raises WatchkeeperError where it is not here any more."""
        content = self.host.engine.kept.get(digest)
        if content is None:
            raise WatchkeeperError(f"The former content of {path} is not kept here any more.", "Restore it by hand.")
        await self.host.write_file(path, content)
        self.now[path] = hash_of(await self.host.read_file(path))
        self.stamps.pop(path, None)
        self._due = 0.0


def _proven(modified: datetime, state: HostState) -> bool:
    """It had this content when it started, and has run with it."""
    if state.started_at is None or state.status != "running" or state.health not in ("", "healthy"):
        return False
    return modified <= state.started_at and now() - state.started_at >= GOOD_AFTER
