"""What something must be allowed to do its work: declared beside it, so that the least can be printed and checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from watchkeeper.domain.resource import Resource

RightKind = Literal["command", "call", "machine", "grant", "unit"]


@dataclass(frozen=True, slots=True)
class Right:
    """One thing to be allowed.

    `command`: of a server, as its access list names it (`config|get`), `on` the keys that match a pattern (`DECLARED`
    stands for those the resource declares). `call`: of the container engine's API (`POST /containers/{id}/restart`).
    `machine`: on the machine Watchkeeper runs on (`root`, a program). `grant`: of a database role, as GRANT names it
    (`pg_signal_backend`, `CONNECT ON DATABASE`), `on` what it is for (`DECLARED`: what is found there). `unit`: a verb
    of systemctl, `on` a unit.
    """

    kind: RightKind
    what: str
    on: str = ""
    gives: str = ""
    """What is not known or not done without it, where the rest goes on; empty: nothing goes without it."""

    @property
    def said(self) -> str:
        """Its name, for people."""
        return f"{self.what} {self.on}".strip() if self.kind in ("grant", "unit") else self.what


DECLARED = "{declared}"


def commands(*names: str, on: str = "", gives: str = "") -> tuple[Right, ...]:
    """`commands("ping", "config|get")`"""
    return tuple(Right("command", name, on, gives) for name in names)


def calls(*paths: str, gives: str = "") -> tuple[Right, ...]:
    """`calls("GET /containers/json")`"""
    return tuple(Right("call", path, gives=gives) for path in paths)


def machine(*whats: str, gives: str = "") -> tuple[Right, ...]:
    """`machine("root", "the program nsenter")`"""
    return tuple(Right("machine", what, gives=gives) for what in whats)


def grants(*whats: str, on: str = "", gives: str = "") -> tuple[Right, ...]:
    """`grants("pg_signal_backend")`, `grants("CONNECT ON DATABASE", on=DECLARED)`"""
    return tuple(Right("grant", what, on, gives) for what in whats)


def units(*verbs: str) -> tuple[Right, ...]:
    """`units("restart")`"""
    return tuple(Right("unit", verb, DECLARED) for verb in verbs)


def of_kind(rights: Iterable[Right], kind: RightKind) -> tuple[Right, ...]:
    """Those of one kind, each once."""
    return tuple(dict.fromkeys(right for right in rights if right.kind == kind))


@dataclass(frozen=True, slots=True)
class Held:
    """Which rights were found to be there, by asking and without changing anything."""

    user: str
    """As whom, in words."""
    rights: Mapping[Right, bool | None]
    """None: it cannot be told without doing it."""
    more: tuple[str, ...] = ()
    """What it may besides, and does not need."""
    notes: tuple[str, ...] = ()
    version: str = ""
    name: str = ""
    """The same user as a grant writes it, where that is not in the settings."""
    missing: tuple[Right, ...] = field(init=False)
    unknown: tuple[Right, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(right for right, held in self.rights.items() if held is False))
        object.__setattr__(self, "unknown", tuple(right for right, held in self.rights.items() if held is None))


class Access(Protocol):
    """What a connector says of the rights at its servers, as `connector.access`; a connector may do without."""

    form: str
    """Of what it prints: `acl`, `sql`, `sudoers`."""
    look: Sequence[Right]

    def probe(self, *, writes: bool) -> Sequence[Right]:
        """What the probe needs: it writes only where changes are permitted."""
        ...

    def grant(
        self, rights: Iterable[Right], resource: Resource | None, *, more: bool = False, version: str = ""
    ) -> str:
        """What gives a user exactly these rights, a line or more; with `more` those besides what it has. `resource`
        says who the user is, and which keys are declared; None for an example. Empty where no line is needed."""
        ...

    async def held(self, session: Any, rights: Iterable[Right]) -> Held:
        """Which of them the session's user has. Changes nothing."""
        ...
