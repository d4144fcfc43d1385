"""A session with what speaks PostgreSQL's language."""

import psycopg
import pytest
from psycopg import sql
from tests.postgres import USER, Postgres

from watchkeeper.connectors.speaking import connected


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_text_is_text_whatever_a_database_is_encoded_in(postgres: Postgres, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    made = sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0")
    with psycopg.connect(host="127.0.0.1", port=postgres.port, user=USER, dbname="postgres", autocommit=True) as admin:
        admin.execute(made.format(sql.Identifier(name), sql.Literal(encoding)))
    connection = await connected(
        [("127.0.0.1", postgres.port)], user=USER, password=None, database=name, refused=lambda _: False
    )
    async with connection:
        found = await connection.execute(
            "SELECT name, has_database_privilege(%(name)s, 'CONNECT') AS held FROM pg_settings"
            " WHERE name = 'max_wal_size'",
            {"name": name},
        )
        assert await found.fetchall() == [{"name": "max_wal_size", "held": True}]
