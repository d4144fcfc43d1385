"""What a failure tells of the server: some of them say more than a good look does."""

import re

from watchkeeper.connectors.redis.wire import ConnectionLost, ServerSaid
from watchkeeper.domain import Conflict

PASSWORD_HELP = (
    "Give the right one as a reference: `password: env:NAME` or `file:PATH` in its entry under `resources` in "
    "watchkeeper.yaml, or the label watchkeeper.redis.password."
)
RIGHTS_HELP = "`watchkeeper doctor` prints the line that gives it."
PROTECTED = (
    "Its protected mode turns away who comes from elsewhere, for its default user has no password. Set one "
    "(`requirepass`) and name it under `resources`; or, where only your own network reaches it, "
    "`CONFIG SET protected-mode no`."
)
NO_PASSWORD = "no password is set"
"""What it says to a password that it does not ask for, and where its protected mode turns somebody away."""
_COMMAND = re.compile(r"run the '([^']+)' command")


class Trouble(Conflict):
    """A failure with its category.

    `exhausted` no slot for a connection · `busy` a script blocks it · `silent` no answer in time · `refused` nothing
    listens · `loading` it reads its data · `password` · `denied` protected mode or rights · `said` any other error.
    """

    def __init__(self, category: str, said: str, right: str = "") -> None:
        super().__init__(said)
        self.category = category
        self.right = right
        """The right that is missing, as an access list names it; empty where the server does not say."""


def lacking(problem: Exception | None, *, asked: str = "") -> str:
    """The right that an error reply is about: `config|get`; empty for another error. `asked` for servers that do not
    say (before 7)."""
    if not isinstance(problem, ServerSaid) or problem.code != "NOPERM":
        return ""
    found = _COMMAND.search(str(problem))
    return found[1] if found else asked or "a key"


def trouble(problem: Exception) -> Trouble:
    """The category of what went wrong. Never contains a secret: Redis does not repeat what it was sent with AUTH."""
    if isinstance(problem, Trouble):
        return problem
    said = str(problem)
    if isinstance(problem, ServerSaid):
        if "max number of clients" in said:
            return Trouble("exhausted", "All client connections are taken.")
        code = problem.code
        if code == "BUSY":
            return Trouble("busy", "A script blocks the server.")
        if code == "LOADING":
            return Trouble("loading", "It is loading its data.")
        if code == "DENIED":
            return Trouble("denied", PROTECTED if "protected mode" in said else said)
        if code in ("WRONGPASS", "NOAUTH") or "invalid password" in said or NO_PASSWORD in said:
            given = "It asks for a password." if code == "NOAUTH" else "It does not accept the password."
            return Trouble("password", f"{given} {PASSWORD_HELP}")
        if code == "NOPERM":
            right = lacking(problem)
            what = "the keys it asked for" if right == "a key" else f"`{right}`"
            return Trouble("denied", f"Its user there may not use {what}. {RIGHTS_HELP} ({said})", right)
        return Trouble("said", said)
    if isinstance(problem, TimeoutError):
        return Trouble("silent", "No answer in time.")
    if isinstance(problem, ConnectionLost):
        return Trouble("refused", f"It closes connections: {said}.")
    return Trouble("refused", f"Nothing accepts connections: {said or type(problem).__name__}.")
