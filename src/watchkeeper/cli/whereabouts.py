"""What became of the server of a data directory that does not answer: it is starting, or where it listened last."""

import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

LAST = "url.last"
"""The file in the data directory that says where a server that has ended listened."""


def whereabouts(data: Path) -> str:
    """One sentence, or nothing where nobody has used these data (or they are in PostgreSQL, which is not asked)."""
    if (process := _holds(data)) is not None:
        return f"Process {process} uses {data} and does not answer yet: it is starting (some seconds), or ending."
    with suppress(OSError):
        return f"The last one that used {data} listened at {(data / LAST).read_text().strip()}, and has ended."
    return ""


def _holds(data: Path) -> int | None:
    """The process here that holds the lease of the store, where it lives."""
    from watchkeeper.store.lease import born

    place = f"file:{quote(str(data / 'watchkeeper.db'))}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(place, uri=True, timeout=1.0)) as store:
        for pid, at in store.execute("SELECT pid, born FROM leases WHERE host = ?", (socket.gethostname(),)):
            if at and born(pid) == at:
                return int(pid)
    return None
