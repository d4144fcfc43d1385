"""The least rights of Watchkeeper's role at a PostgreSQL: the statements that give them, and which of them it has."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from watchkeeper.connectors.postgres import queries
from watchkeeper.connectors.postgres.read import LOOK, PROBE_WRITES
from watchkeeper.connectors.postgres.session import PostgresSession
from watchkeeper.connectors.postgres.tables import MAINTAINS, OWNS
from watchkeeper.connectors.postgres.trouble import Trouble
from watchkeeper.connectors.speaking import NAME
from watchkeeper.domain import Held, Resource, Right
from watchkeeper.domain.rights import DECLARED, of_kind

EXAMPLE_OWNER = "YOUR-TABLE-OWNER"
_SUPERUSER = " (superuser)"
_HERE = " ON DATABASE"
_EVERYWHERE = "CONNECT ON EVERY DATABASE"
_PARAMETER = "ALTER SYSTEM ON PARAMETER "
_FUNCTION = "EXECUTE ON FUNCTION "
_OWNED = (*(right.what for right in MAINTAINS), *(right.what for right in OWNS))
_SINCE = {"pg_use_reserved_connections": 16, "pg_maintain": 17}
_PARAMETERS_SINCE = 15
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_WHO = """
SELECT current_user AS name, current_database() AS database, rolsuper AS superuser,
  current_setting('server_version_num')::int / 10000 AS major, current_setting('server_version') AS version,
  coalesce(current_setting('reserved_connections', true), '0') <> '0' AS reserves,
  array_remove(ARRAY[CASE WHEN rolcreaterole THEN 'make roles' END, CASE WHEN rolcreatedb THEN 'make databases' END,
    CASE WHEN rolreplication THEN 'replicate' END, CASE WHEN rolbypassrls THEN 'read past row security' END], NULL)
  || (SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') FROM pg_roles r
      WHERE r.rolname = ANY(%(grave)s) AND pg_has_role(r.oid, 'usage')) AS more
FROM pg_roles WHERE rolname = current_user
"""
_GRAVE = (
    "pg_execute_server_program",
    "pg_read_all_data",
    "pg_read_server_files",
    "pg_write_all_data",
    "pg_write_server_files",
)
_OWNERS = """
SELECT DISTINCT pg_get_userbyid(c.relowner)::text AS name, r.rolsuper AS superuser
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1 LIMIT 50
"""


class PostgresAccess:
    """Predefined roles for what is looked at, single parameters for what is set, owners for their tables."""

    form = "sql"
    look: Sequence[Right] = LOOK

    def probe(self, *, writes: bool) -> Sequence[Right]:
        return PROBE_WRITES if writes else ()

    def grant(
        self, rights: Iterable[Right], resource: Resource | None, *, more: bool = False, version: str = ""
    ) -> str:
        """Statements for a superuser, with `PASSWORD` to be filled in. Where the version is not known, what later ones
        need less is in comments."""
        settings: Mapping[str, Any] = resource.settings if resource else {}
        url = urlsplit(str(settings.get("url") or ""))
        role = quoted(str(settings.get("username") or url.username or NAME))
        database = str(settings.get("database") or url.path.strip("/") or "postgres")
        found, major = of_kind(rights, "grant"), _major(version)
        rows = [
            *_on_databases(found, database, role),
            *_memberships(found, role, major),
            *_functions(found, database, role),
            *_parameters(found, role, major),
            *_owners(found, role, major),
        ]
        return "\n".join(rows if more else [f"CREATE ROLE {role} LOGIN PASSWORD 'PASSWORD';", *rows])

    async def held(self, session: PostgresSession, rights: Iterable[Right]) -> Held:
        """By what the server says of its own privileges: nothing is tried, nothing is changed. Raises Trouble."""
        (who,) = await session.query(_WHO, {"grave": list(_GRAVE)})
        wanted, notes = await _expanded(session, of_kind(rights, "grant"), who)
        held: dict[Right, bool | None] = {}
        for right in wanted:
            statement, given = _question(right, who["major"])
            (row,) = await session.query(statement, given)
            held[right] = bool(row["held"])
        beyond = ("everything (superuser)",) if who["superuser"] else tuple(who["more"])
        return Held(f"the role {who['name']}", held, beyond, notes, who["version"], who["name"])


def quoted(name: str) -> str:
    """An identifier as SQL needs it.

    >>> quoted("shop"), quoted("Shop-1")
    ('shop', '"Shop-1"')
    """
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _major(version: str) -> int:
    """0 where it is not known."""
    head = re.match(r"\d+", version)
    return int(head[0]) if head else 0


# The statements ------------------------------------------------------------------------------------------------------


def _on_databases(rights: Sequence[Right], database: str, role: str) -> list[str]:
    on: dict[str, dict[str, None]] = {}
    rows: list[str] = []
    for right in rights:
        privilege, mark, _ = right.what.partition(_HERE)
        if right.what == _EVERYWHERE and right.on == DECLARED:
            rows.append(f"-- GRANT CONNECT ON DATABASE … TO {role};  -- each other database, where PUBLIC lost it")
        elif right.what == _EVERYWHERE:
            on.setdefault(right.on, {})["CONNECT"] = None
        elif mark:
            on.setdefault(database if right.on == DECLARED else right.on, {})[privilege] = None
    return [f"GRANT {', '.join(names)} ON DATABASE {quoted(name)} TO {role};" for name, names in on.items()] + rows


def _memberships(rights: Sequence[Right], role: str, major: int) -> list[str]:
    names = list(dict.fromkeys(right.what for right in rights if right.what.startswith("pg_")))
    if major >= _SINCE["pg_maintain"] and any(right.what == _OWNED[0] for right in rights):
        names.append("pg_maintain")
    now = [name for name in names if _SINCE.get(name, 0) <= major]
    later = [name for name in names if name not in now and not major]
    rows = [f"GRANT {', '.join(now)} TO {role};"] if now else []
    return rows + [f"-- GRANT {name} TO {role};  -- PostgreSQL {_SINCE[name]} and newer" for name in later]


def _functions(rights: Sequence[Right], database: str, role: str) -> list[str]:
    names = dict.fromkeys(right.what.removeprefix(_FUNCTION) for right in rights if right.what.startswith(_FUNCTION))
    return [f"GRANT EXECUTE ON FUNCTION {name} TO {role};  -- in the database {quoted(database)}" for name in names]


def _parameters(rights: Sequence[Right], role: str, major: int) -> list[str]:
    names = dict.fromkeys(right.what.removeprefix(_PARAMETER) for right in rights if right.what.startswith(_PARAMETER))
    if not names:
        return []
    said = f"GRANT ALTER SYSTEM ON PARAMETER {', '.join(names)} TO {role};"
    if 0 < major < _PARAMETERS_SINCE:
        return [f"-- ALTER SYSTEM ({', '.join(names)}): before PostgreSQL {_PARAMETERS_SINCE} a superuser alone may"]
    return [said if major else f"{said}  -- before PostgreSQL {_PARAMETERS_SINCE} a superuser alone may"]


def _owners(rights: Sequence[Right], role: str, major: int) -> list[str]:
    owning = [right for right in rights if right.what in _OWNED]
    if major >= _SINCE["pg_maintain"]:
        owning = [right for right in owning if right.what != _OWNED[0]]
    vacuums = not major and any(right.what == _OWNED[0] for right in owning)
    rows: list[str] = []
    for name in dict.fromkeys(right.on for right in owning):
        if name.endswith(_SUPERUSER):
            owner = name.removesuffix(_SUPERUSER)
            rows.append(
                f"-- {quoted(owner)} owns tables and is a superuser: give them to a role of their own, not this to us"
            )
            continue
        owner = EXAMPLE_OWNER if name == DECLARED else name
        rows.append(f"GRANT {quoted(owner)} TO {role};  -- and with it what is in its tables")
    return [*rows, "-- to vacuum, PostgreSQL 17 and newer has pg_maintain in its place"] if vacuums and rows else rows


# Which are there -----------------------------------------------------------------------------------------------------


async def _expanded(
    session: PostgresSession, rights: Sequence[Right], who: Mapping[str, Any]
) -> tuple[list[Right], tuple[str, ...]]:
    """Each for what it is about here, and what could not be found out."""
    others: list[str] = []
    owners: dict[str, None] = {}
    notes: tuple[str, ...] = ()
    if any(right.what in (*_OWNED, _EVERYWHERE) for right in rights):
        others = [row["name"] for row in await session.query(queries.OTHERS)]
    if any(right.what in _OWNED for right in rights):
        owners, unseen = await _owners_of(session, others)
        if unseen:
            notes = (f"whose the tables in {', '.join(unseen)} are is not known",)
    found: list[Right] = []
    for right in rights:
        if right.what == _EVERYWHERE:
            found += [replace(right, on=name) for name in others]
        elif right.what.endswith(_HERE):
            found.append(replace(right, on=who["database"]))
        elif right.what in _OWNED:
            found += [replace(right, on=name) for name in owners]
        elif right.what != "pg_use_reserved_connections" or who["reserves"]:
            found.append(right)
    return list(dict.fromkeys(found)), notes


async def _owners_of(session: PostgresSession, others: Sequence[str]) -> tuple[dict[str, None], list[str]]:
    """To whom tables belong, in this database and in others; and which of them could not be looked into."""
    owners: dict[str, None] = {}
    unseen: list[str] = []
    for database in ("", *others):
        try:
            async with session.beside(database) as ask:
                for row in await ask(_OWNERS):
                    owners[row["name"] + (_SUPERUSER if row["superuser"] else "")] = None
        except Trouble:
            unseen.append(database)
    return owners, unseen


def _question(right: Right, major: int) -> tuple[str, dict[str, str]]:
    """What is asked of the server: `held`."""
    if right.what.startswith(_PARAMETER):
        if major < _PARAMETERS_SINCE:
            return "SELECT rolsuper AS held FROM pg_roles WHERE rolname = current_user", {}
        name = right.what.removeprefix(_PARAMETER)
        return "SELECT has_parameter_privilege(%(name)s, 'ALTER SYSTEM') AS held", {"name": name}
    if right.what.startswith(_FUNCTION):
        name = right.what.removeprefix(_FUNCTION)
        return "SELECT has_function_privilege(%(name)s, 'EXECUTE') AS held", {"name": name}
    if right.what == _EVERYWHERE or right.what.endswith(_HERE):
        given = {"name": right.on, "privilege": right.what.partition(" ")[0]}
        return "SELECT has_database_privilege(%(name)s, %(privilege)s) AS held", given
    name = right.on.removesuffix(_SUPERUSER) if right.what in _OWNED else right.what
    said = "pg_has_role(%(name)s, 'usage')"
    if right.what == _OWNED[0] and major >= _SINCE["pg_maintain"]:
        said += " OR pg_has_role('pg_maintain', 'usage')"
    return f"SELECT {said} AS held", {"name": name}
