"""What a failure tells of the server: some of them say more than a good look does."""

from watchkeeper.connectors.redis.wire import ConnectionLost, ServerSaid
from watchkeeper.domain import Conflict

PASSWORD_HELP = (
    "Give the right one as a reference: `password: env:NAME` or `file:PATH` for this resource in watchkeeper.yaml, "
    "or the label watchkeeper.redis.password."
)


class Trouble(Conflict):
    """A failure with its category.

    `exhausted` no slot for a connection · `busy` a script blocks it · `silent` no answer in time · `refused` nothing
    listens · `loading` it reads its data · `password` · `denied` protected mode or rights · `said` any other error.
    """

    def __init__(self, category: str, said: str) -> None:
        super().__init__(said)
        self.category = category


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
        if code in ("WRONGPASS", "NOAUTH") or "invalid password" in said or "no password is set" in said:
            given = "It asks for a password." if code == "NOAUTH" else "It does not accept the password."
            return Trouble("password", f"{given} {PASSWORD_HELP}")
        if code in ("DENIED", "NOPERM"):
            return Trouble("denied", said)
        return Trouble("said", said)
    if isinstance(problem, TimeoutError):
        return Trouble("silent", "No answer in time.")
    if isinstance(problem, ConnectionLost):
        return Trouble("refused", f"It closes connections: {said}.")
    return Trouble("refused", f"Nothing accepts connections: {said or type(problem).__name__}.")
