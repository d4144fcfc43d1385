"""What is kept of the readings of an incident when readings are forgotten."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from watchkeeper.domain.reading import Reading

MOST = 600
"""Readings kept of one resource in one incident: near what a chart has across."""


def trace_id(incident: str, resource: str) -> str:
    return f"{incident}@{resource}"


@dataclass(frozen=True, slots=True)
class Trace:
    """The figures that rules and proofs of an incident looked at, up to `until`; later ones are among the readings.

    At most `MOST` readings, `of` so many that there were.
    """

    id: str
    incident: str
    at: datetime
    until: datetime
    readings: tuple[Reading, ...] = ()
    of: int = 0

    def with_older(self, readings: Iterable[Reading], of: int, names: Collection[str], until: datetime) -> "Trace":
        """The same with the next readings, of which there were `of`, thinned out evenly where they are too many."""
        bare = (
            replace(r, metrics={n: v for n, v in r.metrics.items() if n in names}, facts={}, configuration=None)
            for r in readings
        )
        found = [*self.readings, *bare]
        if len(found) > MOST:
            found = [found[number * (len(found) - 1) // (MOST - 1)] for number in range(MOST)]
        return replace(self, readings=tuple(found), of=self.of + of, until=until)
