"""Where a container's files are mounted from, and whether they may be written; from the engine's `inspect`."""

import posixpath
from collections.abc import Mapping
from typing import Any

from watchkeeper.hosts.answers import items, part


def holding(shown: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The mount in which a path is; None where it is the container's own."""
    path = posixpath.normpath(path)
    found = [mount for mount in items(shown, "Mounts") if _within(path, str(mount.get("Destination") or ""))]
    return max(found, key=lambda mount: len(str(mount["Destination"])), default=None)


def alone(shown: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The mount of just this file: the engine cannot replace one (EBUSY)."""
    mount = holding(shown, path)
    return mount if mount and posixpath.normpath(str(mount["Destination"])) == posixpath.normpath(path) else None


def barred(shown: Mapping[str, Any], path: str) -> str:
    """Why a file must not be written, and where it is to be changed; empty where it may."""
    mount = holding(shown, path)
    if mount is None:
        own = not any(_within(path, folder) for folder in part(shown, "HostConfig", "Tmpfs"))
        only_read = own and part(shown, "HostConfig").get("ReadonlyRootfs")
        return f"{path} belongs to a container whose files may only be read: change its image." if only_read else ""
    if mount.get("RW", True):
        return ""
    inside = posixpath.relpath(posixpath.normpath(path), posixpath.normpath(str(mount["Destination"])))
    source = str(mount.get("Source") or "elsewhere")
    return f"{path} is mounted read-only from {posixpath.normpath(posixpath.join(source, inside))}: change it there."


def _within(path: str, folder: str) -> bool:
    return bool(folder) and (path == folder.rstrip("/") or path.startswith(f"{folder.rstrip('/')}/"))
