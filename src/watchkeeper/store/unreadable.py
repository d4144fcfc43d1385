"""Rows that cannot be read (any more): left out and counted where nothing depends on them, else an error to act on."""

from collections.abc import Iterable
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.engine import URL

from watchkeeper.domain import Alert, Approval, ConfigurationError, Fix, Incident, Silence, Stop, Window
from watchkeeper.domain.access import Token
from watchkeeper.store.transaction import adapter

log = structlog.get_logger(__name__)
ESSENTIAL: tuple[type[Any], ...] = (Incident, Alert, Fix, Approval, Window, Silence, Stop, Token)
"""Kinds that say what is under way and what is permitted. Without one of the others nothing else is decided."""


class Unreadable(ConfigurationError):
    """A row that must not be left out, such as an incident, a fix or an approval, cannot be read."""

    status = 500


class Rows:
    """Makes values of what one store holds, and remembers what could not be made."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._left_out: dict[str, set[str]] = {}

    @property
    def left_out(self) -> str:
        """How many rows of what could not be read so far, in words; empty where all could."""
        told = [f"{len(rows):,} of {table}" for table, rows in sorted(self._left_out.items())]
        return f"rows of the store that cannot be read are left out: {', '.join(told)}" if told else ""

    def made(self, kind: type[Any], table: str, key: object, body: Any) -> Any | None:
        """The value, or None where it is left out. Raises Unreadable."""
        try:
            return adapter(kind).validate_python(body)
        except ValidationError as problem:
            first = problem.errors()[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
            if kind in ESSENTIAL:
                raise unreadable(self._url, f"{table}, {key}: {why}") from None
            known = self._left_out.setdefault(table, set())
            if not known:
                log.warning("a row cannot be read; such rows are left out", table=table, key=str(key), problem=why)
            known.add(str(key))
            return None

    def all(self, kind: type[Any], table: str, found: Iterable[tuple[object, Any]]) -> list[Any]:
        """Those of them that can be made. Raises Unreadable."""
        made = (self.made(kind, table, key, body) for key, body in found)
        return [value for value in made if value is not None]


def unreadable(url: URL, what: str) -> Unreadable:
    """The error for a person, with the file and what can be done."""
    where = url.database if url.get_backend_name() == "sqlite" else f"{url.host or 'localhost'}, {url.database}"
    aside = "move its directory away (mv) to begin with an empty one" if url.get_backend_name() == "sqlite" else ""
    return Unreadable(
        f"The store {where} holds a row that cannot be read and must not be left out: {what}.",
        f"Nothing was changed. Put a backup in its place (docs/running.md){f', or {aside}' if aside else ''}. "
        "`watchkeeper doctor` lists all such rows.",
    )
