"""The disk of PostgreSQL is full of a file that somebody forgot."""

import contextlib
import os
import random
import time
from pathlib import Path

import psycopg

from watchkeeper_lab.disk import DATA, mounted
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.faults.site import Site

DAY = 86_400.0
MIB = 1 << 20
GROW = "CREATE TABLE filling AS SELECT i, repeat('x', 500) AS page FROM generate_series(1, 100000) AS i"


def _fill(path: Path) -> None:
    """To the last block: most of it set aside at once, the rest written."""
    with path.open("wb") as file:
        left = os.statvfs(path.parent)
        os.posix_fallocate(file.fileno(), 0, max(MIB, left.f_bavail * left.f_frsize - 8 * MIB))
        file.write(os.urandom(MIB))  # so that a copy that is none would be noticed
        file.seek(0, os.SEEK_END)
        with contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))


async def full(site: Site) -> float:
    """A dump that was left beside the data directory days ago has taken all that was free; nothing can be written."""
    states = await site.services.states()
    folder = Path(states["postgres"].volumes.get(DATA, ""))
    if not mounted(folder):
        raise LabError("PostgreSQL has no disk of its own here.", "`watchkeeper lab faults` lists what there is.")
    age = time.time() - random.uniform(2, 20) * DAY
    path = folder / random.choice(("exports", "backup", "old")) / f"shop-{random.randint(1, 99):02}.dump"
    path.parent.mkdir(exist_ok=True)
    _fill(path)
    os.utime(path, (age, age))
    began = time.time()
    try:
        async with site.postgres(timeout=20.0) as connection:
            await connection.execute(GROW)
    except (psycopg.Error, OSError):
        return began
    raise LabError("Rows can still be written.", "Run `watchkeeper lab reset` and try again.")
