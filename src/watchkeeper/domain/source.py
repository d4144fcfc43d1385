"""Where readings may come from in place of a connector's own looks: a source has eyes and no hands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from watchkeeper.domain.resource import Resource


@dataclass(frozen=True, slots=True)
class Told:
    """What a source tells of a resource. `problem` says why it is no data; then the rest is empty.

    `age` is how many seconds ago the figures were taken, by the source's own clock. `notes` say what could not be
    read, and why; what is in `may_lack` may be absent without anything being wrong. `suspect`: the figures are such
    that the server itself has more to tell.
    """

    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: Sequence[str] = ()
    may_lack: frozenset[str] = frozenset[str]()
    age: float = 0.0
    problem: str = ""
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a resource comes from a source, as the configuration says it: `whole` is false where only `metrics` of
    the user's own come from there. `addresses` are `host:port` at which it is known, `names` what it is called: to find
    it by where no labels are said (`match`)."""

    whole: bool = True
    match: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    addresses: Sequence[str] = ()
    names: Sequence[str] = ()


class ReadingSource(Protocol):
    """A store of metrics that somebody else fills. Asked for many resources at once where it can be."""

    name: str

    @property
    def problem(self) -> str | None:
        """Why it does not answer at all; None while it does."""
        ...

    async def tell(self, resource: Resource, seen: Seen, last: Mapping[str, float]) -> Told:
        """How the resource is. `last` is what was known with the look before. Never raises for a source that is down,
        has nothing of it, or only something old."""
        ...

    def whose(self, resource: str) -> str:
        """By what the resource is told from others there, for a person; empty where it is not found."""
        ...

    def forget(self, resource: str) -> None:
        """It is not asked for this resource any more."""
        ...

    async def close(self) -> None: ...
