"""Which program a command line starts."""

import pytest

from watchkeeper.connectors.commands import starts

SERVERS = frozenset({"postgres", "postmaster"})


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("postgres", 0),
        ("/usr/lib/postgresql/15/bin/postgres -D /x -p 5433", 0),
        ("docker-entrypoint.sh postgres -c max_connections=50", 1),
        ("/bin/bash /usr/local/bin/docker-entrypoint.sh postgres", 2),
        ("tini -- docker-entrypoint.sh postgres", 3),
        ("gosu postgres postgres -D x", 2),
        ("su - postgres -c 'postgres -D x'", 4),
        ("runuser -u postgres -- postgres -D x", 4),
        ("setpriv --reuid postgres postgres", 3),
        ("env PGDATA=/x postgres", 2),
        ("dumb-init -- sh -c postgres", 4),
        ("sh -c 'service x start; exec postgres'", 6),
        ("sh -c 'initdb -U postgres && exec /usr/lib/postgresql/15/bin/postgres -D /d'", 7),
    ],
)
def test_a_server_is_found_however_it_is_started(command: str, word: int) -> None:
    assert starts(command, SERVERS) == word


@pytest.mark.parametrize(
    "command",
    [
        "",
        "postgres: writer",
        "psql -U postgres postgres",
        "pg_ctl -D /postgres start",
        "gosu postgres psql",
        "su postgres -c psql",
        "su - postgres -c psql",
        "sudo -u postgres psql",
        "bash -c 'sleep 900 | PGAPPNAME=app2 psql -h db -U postgres postgres'",
        "bash -c sleep 900 | PGAPPNAME=app2 psql -h db -U postgres postgres",
        "sh -c 'while true; do psql -h db postgres; done'",
        'bash -c "echo postgres; sleep 9"',
        "sh -c 'curl http://postgres'",
    ],
)
def test_a_client_is_no_server_whatever_it_is_told(command: str) -> None:
    assert starts(command, SERVERS) is None
