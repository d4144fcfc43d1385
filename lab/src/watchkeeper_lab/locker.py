"""A session that locks a table for itself and never lets go of it. Prints `ready` when it has the lock.

Runs as a process of its own: `python -m watchkeeper_lab.locker TABLE`, with the database's URL in LAB_DATABASE_URL. It
ends when its session is ended.
"""

import os
import sys
from contextlib import suppress

import psycopg
from psycopg import sql


def main() -> None:
    with psycopg.connect(os.environ["LAB_DATABASE_URL"], application_name="nightly") as connection:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(sys.argv[1])))
        print("ready", flush=True)
        with suppress(psycopg.OperationalError):  # it is ended; until then no statement, so that it idles
            for _ in connection.notifies():
                pass


if __name__ == "__main__":
    main()
