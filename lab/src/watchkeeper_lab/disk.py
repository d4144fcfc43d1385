"""A disk for PostgreSQL that can be filled: an image with ext4, mounted here. It outlives every container."""

import os
import shutil
from pathlib import Path

from watchkeeper_lab.command import attempt, run
from watchkeeper_lab.instance import Instance

SIZE_MIB = 512
DATA = "/var/lib/postgresql/data"
"""Where PostgreSQL's container sees it; the data directory is a folder below, as its documentation advises."""
SPARE = "/var/spare"
"""Where its container sees a folder on another disk."""
VOLUME = "postgres-data"
"""The plain volume that takes its place where no image can be mounted."""


def possible() -> bool:
    """Whether images can be mounted here: that takes root, and loop devices."""
    tools = all(shutil.which(name) for name in ("mkfs.ext4", "mount", "umount"))
    return os.geteuid() == 0 and tools and os.path.exists("/dev/loop-control") and not os.environ.get("DOCKER_HOST")


async def make(instance: Instance) -> str:
    """What compose is to mount: the folder of the disk, made and mounted where need be, or the plain volume's name."""
    folder = _folder(instance)
    if not possible():
        return VOLUME
    if not mounted(folder):
        image = instance.folder / "postgres.img"
        folder.mkdir(parents=True, exist_ok=True)
        if not image.exists():
            await run(["truncate", "-s", f"{SIZE_MIB}M", image])
            await run(["mkfs.ext4", "-q", "-m", "0", image])
        if not (await attempt(["mount", "-o", "loop", image, folder])).ok:
            return VOLUME
        instance.folder.chmod(0o711)  # the engine goes through it as root, the server's own user does not
    return str(folder)


async def remove(instance: Instance) -> None:
    """Unmount it; its image goes with the lab's files. Idempotent."""
    folder = _folder(instance)
    if mounted(folder):
        await run(["umount", folder])


def mounted(folder: Path | str) -> bool:
    """Whether the folder is a file system of its own."""
    return os.path.ismount(folder)


def _folder(instance: Instance) -> Path:
    return instance.folder / "postgres-disk"
