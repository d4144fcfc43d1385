"""Which of what is asked of a PgBouncer its user may: it knows two sorts of users, and each is named in its file."""

from collections.abc import Iterable, Sequence

from watchkeeper.connectors.pgbouncer.read import ACTS, LOOK
from watchkeeper.connectors.pgbouncer.session import PgbouncerSession
from watchkeeper.connectors.pgbouncer.trouble import Trouble
from watchkeeper.domain import Held, Resource, Right

_NOTHING = "SET watchkeeper_no_such_setting = 1"
"""Only an administrator comes as far as to hear that there is none."""


class PgbouncerAccess:
    """Rights are lines of its configuration."""

    form = ""
    look: Sequence[Right] = LOOK

    def probe(self, *, writes: bool) -> Sequence[Right]:
        return ()

    def grant(
        self, rights: Iterable[Right], resource: Resource | None, *, more: bool = False, version: str = ""
    ) -> str:
        """The line of its configuration; only where something is lacking."""
        if not more or resource is None:
            return ""
        user = resource.settings.get("username") or "watchkeeper"
        sort = "admin_users" if set(ACTS) & set(rights) else "stats_users"
        return f"{sort} = {user}  ; in its configuration, then RELOAD"

    async def held(self, session: PgbouncerSession, rights: Iterable[Right]) -> Held:
        """By looking, by a setting that does not exist, and by a query through it. Raises Trouble."""
        await session.console("SHOW VERSION")
        acts = True
        try:
            await session.console(_NOTHING)
        except Trouble as problem:
            if problem.category not in ("denied", "said"):
                raise
            acts = problem.category != "denied"
        notes: list[str] = []
        if session.database:
            try:
                await session.through("SELECT 1")
                notes.append(f"its query gets through to {session.database}")
            except Trouble as problem:
                notes.append(f"no query gets through to {session.database}: {problem}")
        asked = {right: acts if right in ACTS else True for right in rights if right in (*LOOK, *ACTS)}
        return Held(session.user, asked, notes=tuple(notes))
