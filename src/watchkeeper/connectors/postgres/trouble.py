"""What a failure tells of the server: some of them say more than a good look does."""

import psycopg
from psycopg import errors

from watchkeeper.domain import Conflict

PASSWORD_HELP = (
    "Give user and password as references: `username`, `password: env:NAME` or `file:PATH` for this resource in "
    "watchkeeper.yaml, or the label watchkeeper.postgres.password."
)


class Trouble(Conflict):
    """A failure with its category.

    `exhausted` no slot for a connection · `silent` no answer in time · `refused` nothing listens · `starting` it
    starts, recovers or shuts down · `password` · `denied` a right that is missing · `lost` the connection was closed ·
    `said` any other error.
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
    ("too many clients already", "exhausted"),
    ("remaining connection slots are reserved", "exhausted"),
    ("too many connections for", "exhausted"),
    ("the database system is", "starting"),
    ("password authentication failed", "password"),
    ("no password supplied", "password"),
    ("pg_hba.conf", "password"),
    ("does not exist", "password"),
    ("timeout expired", "silent"),
    ("Connection refused", "refused"),
    ("server closed the connection", "lost"),
    ("terminating connection", "lost"),
)
_SAID = {
    "exhausted": "All connection slots are taken.",
    "silent": "No answer in time.",
}


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
        return Trouble("password", f"It does not let us in: {said} {PASSWORD_HELP}")
    if category == "refused":
        return Trouble("refused", f"Nothing accepts connections: {said}")
    return Trouble(category or "said", _SAID.get(category, said))
