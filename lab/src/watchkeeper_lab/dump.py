"""A dump of a database by a client that takes its time. Prints `ready` when rows come, `done` at the end.

Runs as a process of its own: `python -m watchkeeper_lab.dump`, with the database's URL in LAB_DATABASE_URL and
the name of a large table in LAB_TABLE.
"""

import os

import psycopg
from psycopg import sql

PAGES = "COPY (SELECT p.*, pg_sleep(0.5) FROM {table} AS p, generate_series(1, 3)) TO STDOUT"
"""About ten minutes; each row waits as a dump waits for a slow disk or a slow network."""


def main() -> None:
    """Dump everything in one transaction that sees one state, as pg_dump does."""
    with psycopg.connect(os.environ["LAB_DATABASE_URL"], application_name="pg_dump") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        table = sql.Identifier(os.environ["LAB_TABLE"])
        connection.execute(sql.SQL("SELECT count(*) FROM {table}").format(table=table))
        print("ready", flush=True)
        with connection.cursor() as cursor, cursor.copy(sql.SQL(PAGES).format(table=table)) as rows:
            for _ in rows:
                pass
    print("done", flush=True)


if __name__ == "__main__":
    main()
