"""What one part of the oracle found, and all of them together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from watchkeeper_lab.audit import Audit
from watchkeeper_lab.instance import Instance
from watchkeeper_lab.services import Services, ServiceState

Facts = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class Place:
    """What a part of the oracle may look at; `states` are the services as they are at this moment, by name."""

    instance: Instance
    services: Services
    states: Mapping[str, ServiceState]


@dataclass(slots=True)
class Finding:
    """What one part found.

    `reasons` say what is wrong. `facts` are measurements, units in their names. `untouched` are facts that nothing but
    an action of somebody changes (when it was started, a hash of its configuration), named `SERVICE WHAT`: in a control
    they have to stay as they are. What could not be learnt is left out.
    """

    reasons: list[str] = field(default_factory=lambda: list[str]())
    facts: Facts = field(default_factory=lambda: Facts())
    untouched: Facts = field(default_factory=lambda: Facts())


class Part(Protocol):
    """One part of the oracle: a module."""

    async def look(self, place: Place) -> Finding:
        """Look, and tell."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the oracle found.

    `reasons` say what is wrong, and are empty exactly where the shop is healthy. `facts` are measurements, with units
    in their names; `untouched` those that only an action changes. `audit` is None where the stores could not be read.
    `at` is Unix time.
    """

    at: float
    reasons: tuple[str, ...]
    facts: Facts = field(default_factory=lambda: Facts())
    audit: Audit | None = None
    untouched: Facts = field(default_factory=lambda: Facts())

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


def brief(error: BaseException) -> str:
    """An error in a few words."""
    return f"{type(error).__name__} {error}".strip().splitlines()[0][:160]
