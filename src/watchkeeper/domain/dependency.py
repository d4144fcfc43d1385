"""What needs what, and how that is known."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

How = Literal["declared", "runs_on", "processes", "connections", "clients", "environment"]
"""`declared`: said by hand, or by a connector. `runs_on`: a service and what carries it. `processes`: one of its
processes says that it runs there. `connections`: established
connections, from either end. `clients`: the server's own list of its clients. `environment`: a variable names it."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """`source` needs `target` (ids of resources). One edge may be known in several ways, each one of these."""

    source: str
    target: str
    how: How
    evidence: str
    """What shows it, in a few words; never a secret."""
    since: datetime
    """First seen."""
    seen_at: datetime
    """Last seen."""

    @property
    def edge(self) -> tuple[str, str]:
        return self.source, self.target

    @property
    def key(self) -> tuple[str, str, How]:
        return self.source, self.target, self.how


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be known of a resource's dependencies, and why, in a sentence."""

    resource: str
    text: str
