"""What a failure tells of the pooler: some of them say more than a good look does."""

import psycopg

from watchkeeper.domain import Conflict

PASSWORD_HELP = (
    "Give a user of its stats_users (to look) or admin_users (to act) as references: `username`, "
    "`password: env:NAME` or `file:PATH` in its entry under `resources` in "
    "watchkeeper.yaml, or the labels "
    "watchkeeper.pgbouncer.username and watchkeeper.pgbouncer.password."
)


class Trouble(Conflict):
    """A failure with its category.

    `exhausted` no client is let in any more · `silent` no answer in time · `refused` nothing listens · `password` ·
    `denied` the user may only look · `lost` the connection was closed · `said` any other error.
    """

    def __init__(self, category: str, said: str) -> None:
        super().__init__(said)
        self.category = category


_WORDS = (
    ("no more connections allowed", "exhausted"),
    ("admin access needed", "denied"),
    ("authentication failed", "password"),
    ("no such user", "password"),
    ("not allowed", "password"),
    ("no password supplied", "password"),
    ("no authentication", "password"),
    ("is not in", "password"),
    ("timeout expired", "silent"),
    ("query_wait_timeout", "silent"),
    ("Connection refused", "refused"),
    ("pooler is shut down", "lost"),
    ("closed the connection", "lost"),
    ("connection is closed", "lost"),
    ("the connection is lost", "lost"),
)


def trouble(problem: BaseException) -> Trouble:
    """The category of what went wrong, by its words: the pooler's own errors bear one SQLSTATE for all of them."""
    if isinstance(problem, Trouble):
        return problem
    if isinstance(problem, TimeoutError):
        return Trouble("silent", "No answer in time.")
    said = " ".join(str(problem).split()) or type(problem).__name__
    category = next((name for words, name in _WORDS if words in said), "")
    if category == "silent":
        return Trouble(category, "No answer in time.")
    if category == "password":
        return Trouble(category, f"It does not let us into its console: {said.rstrip('.')}. {PASSWORD_HELP}")
    if category == "denied":
        return Trouble(category, f"The user may look and not act: it has to be among admin_users. ({said})")
    connecting = isinstance(problem, psycopg.OperationalError) and problem.sqlstate is None
    if category == "refused" or (not category and (connecting or isinstance(problem, OSError))):
        return Trouble("refused", f"Nothing accepts connections: {said}")
    return Trouble(category or "said", said)
