"""What a failure tells of the server: some of them say more than a good look does."""

import re
from collections.abc import Mapping

import psycopg
from psycopg import errors

from watchkeeper.domain import Conflict

PASSWORD_HELP = (
    "Give {what} as references: `username`, `password: env:NAME` or `file:PATH` in its entry under "
    "`resources` in watchkeeper.yaml, or the labels watchkeeper.postgres.username and watchkeeper.postgres.password."
)


RIGHTS_HELP = (
    "`watchkeeper doctor --rights --as sql` prints the least it needs, and `watchkeeper doctor` what it lacks."
)


class Trouble(Conflict):
    """A failure with its category.

    `exhausted` no slot for a connection · `silent` no answer in time · `refused` nothing listens · `starting` it
    starts, recovers or shuts down · `password` · `denied` a right that is missing · `lost` the connection was closed ·
    `forbidden` its database is closed to everybody · `said` any other error.
    """

    def __init__(self, category: str, said: str) -> None:
        super().__init__(said)
        self.category = category


_CATEGORIES: tuple[tuple[type[Exception], str], ...] = (
    (errors.TooManyConnections, "exhausted"),
    (errors.CannotConnectNow, "starting"),
    (errors.InvalidPassword, "password"),
    (errors.InvalidAuthorizationSpecification, "password"),
    (errors.InsufficientPrivilege, "denied"),
    (errors.AdminShutdown, "lost"),
    (errors.CrashShutdown, "lost"),
)
_WORDS = (
    ("not currently accepting connections", "forbidden"),
    ("too many clients already", "exhausted"),
    ("remaining connection slots are reserved", "exhausted"),
    ("too many connections for", "exhausted"),
    ("the database system is", "starting"),
    ("password authentication failed", "password"),
    ("no password supplied", "password"),
    ("pg_hba.conf", "password"),
    ("is not permitted to log in", "password"),
    ("permission denied for database", "denied"),
    ("does not exist", "password"),
    ("timeout expired", "silent"),
    ("Connection refused", "refused"),
    ("server closed the connection", "lost"),
    ("terminating connection", "lost"),
)
_WHERE = re.compile(r"^(connection failed: )?connection to server (at|on) .{1,200}? failed: (FATAL:\s+)?")
_SAID = {
    "exhausted": "All connection slots are taken.",
    "silent": "No answer in time.",
}


_LACKS: Mapping[str, str] = {
    r'permission denied for database "(.+?)"': "CONNECT ON DATABASE {0}",
    r'create temporary tables in database "(.+?)"': "TEMPORARY ON DATABASE {0}",
    r'permission denied to set parameter "(.+?)"': "ALTER SYSTEM ON PARAMETER {0}",
    r"permission denied for function (\w+)": "EXECUTE ON FUNCTION {0}()",
    r"must be (?:a )?superuser to (?:terminate|cancel)|Only roles with the SUPERUSER attribute may": "superuser",
    r"pg_signal_backend": "pg_signal_backend",
    r"to examine \"|pg_read_all_settings": "pg_read_all_settings",
    r"must be owner of (.+?)(?: [A-Z]+:|$)": "owner of {0}",
    r"permission denied for schema (\S+)": "USAGE ON SCHEMA {0}",
    r"must be superuser": "superuser",
}
"""The right, by what the server says where it is missing: it has no name for it but its words."""


def lacking(said: str) -> str:
    """The right that a refusal is about, as GRANT names it; empty where that is not known.

    >>> lacking('permission denied to set parameter "max_connections"')
    'ALTER SYSTEM ON PARAMETER max_connections'
    """
    for words, right in _LACKS.items():
        if found := re.search(words, said):
            return right.format(*found.groups())
    return ""


def denied(right: str, said: str) -> Trouble:
    """A right is missing: which, and what prints it."""
    return Trouble("denied", f"Its role there lacks `{right}`. {RIGHTS_HELP} ({said})")


def trouble(problem: BaseException) -> Trouble:
    """The category of what went wrong. A failure to connect has no SQLSTATE: there the words tell."""
    if isinstance(problem, Trouble):
        return problem
    if isinstance(problem, TimeoutError):
        return Trouble("silent", _SAID["silent"])
    said = " ".join(str(problem).split()) or type(problem).__name__
    category = next((name for kind, name in _CATEGORIES if isinstance(problem, kind)), "")
    if not category and isinstance(problem, psycopg.OperationalError):
        category = next((name for words, name in _WORDS if words in said), "refused")
    if category == "password":
        what = "user and password" if "no password supplied" in said else "the right user and password"
        why = _WHERE.sub("", said).rstrip(".")  # where it listens is known, and a narrow column has room for the reason
        return Trouble("password", f"It does not let us in: {why}. {PASSWORD_HELP.format(what=what)}")
    if category == "denied" and (right := lacking(said)):
        return denied(right, said)
    if category == "refused":
        return Trouble("refused", f"Nothing accepts connections: {said}")
    return Trouble(category or "said", _SAID.get(category, said))
