"""A session that locks a table for itself and never lets go of it. Prints `ready` when it has the lock.

Runs as a process of its own: `python -m watchkeeper_lab.locker TABLE`, with the database's URL in LAB_DATABASE_URL. It
ends when its session is ended.
"""

import os
import sys
import time

import psycopg
from psycopg import sql

SIGN_OF_LIFE = 0.2
"""Seconds between two looks whether the session is still there."""


def main() -> None:
    with psycopg.connect(os.environ["LAB_DATABASE_URL"], application_name="nightly") as connection:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(sys.argv[1])))
        print("ready", flush=True)
        while not connection.closed and _there(connection):
            time.sleep(SIGN_OF_LIFE)


def _there(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether the server has not ended it; without a statement, which would make it anything but idle."""
    try:
        for _ in connection.notifies(timeout=0):
            pass
    except psycopg.Error:
        return False
    return True


if __name__ == "__main__":
    main()
