"""What a person would type into psql instead."""

import re
from collections.abc import Callable, Mapping, Sequence
from shlex import quote
from typing import Any


def psql(
    statement: str, *, names: Sequence[str] = (), then: str = ""
) -> Callable[[Mapping[str, Any], Mapping[str, str]], str]:
    """A template of the command for a statement over a tool's arguments, as the role and in the database by which it is
    watched. Texts become literals, but those in `names`, which name a table; `then` follows in the shell."""

    def command(arguments: Mapping[str, Any], facts: Mapping[str, str]) -> str:
        login = facts.get("login", "postgres")
        database = str(arguments.get("database") or facts.get("database") or login)
        given = {name: str(value) if name in names else _literal(value) for name, value in arguments.items()}
        said = f"-U {quote(login)} -d {quote(database)} -c {_quoted(statement.format(**given))}"
        return "{inside}psql{at} " + said.replace("{", "{{").replace("}", "}}") + then

    return command


def _quoted(statement: str) -> str:
    """For the shell, without a thicket of quotes around the literals in it."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", statement) + '"' if "'" in statement else quote(statement)


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
