"""A store with nothing in it but its tables, which take a while to make: made once, copied for whoever needs one.

That they are made where there are none is told by tests/store, and by whatever begins `watchkeeper up` from nothing."""

import asyncio
import atexit
import functools
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from watchkeeper.store import Store

NAME = "watchkeeper.db"


def url(path: Path) -> str:
    """The URL of the one at this path, a new one where there is none."""
    if not path.exists():
        shutil.copyfile(_made(), path)
    return f"sqlite+aiosqlite:///{path}"


def begin(data: Path) -> None:
    """As `up` begins a directory of data; where there is one already nothing is done."""
    if not data.exists():
        data.mkdir(parents=True, mode=0o700)
        url(data / NAME)


@functools.cache
def _made() -> Path:
    path = Path(tempfile.mkdtemp(prefix="migrated-")) / NAME
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)

    async def make() -> None:
        async with Store.open(f"sqlite+aiosqlite:///{path}"):
            pass

    with ThreadPoolExecutor() as thread:  # a loop may run in this one
        thread.submit(asyncio.run, make()).result()
    return path
