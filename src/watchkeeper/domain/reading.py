"""What one look gave."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.domain.condition import Scope, numbers, scope


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a resource. A look that failed is a Reading too: `error` says why, and `metrics` holds what is known.

    Metric names carry their unit: `_ratio` (0..1), `_bytes`, `_seconds`, `_per_second`; without one it is a count or a
    flag (0 or 1). `facts` are what is known in words (`top_client_address`).
    """

    resource: str
    at: datetime
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    state: str = ""
    error: str | None = None
    off: bool = False
    """Not meant to run now (stopped on purpose): there is nothing to judge."""
    configuration: Mapping[str, str] | None = None
    """What it is configured with, where this look asked for it: what is compared to notice changes. Never secrets."""
    age: float = 0.0
    """Seconds that had passed since its figures were taken, where they come through a source that looks by itself."""

    @property
    def ok(self) -> bool:
        return self.error is None

    def scope(self, names: Collection[str] | None = None) -> Scope:
        """What a condition over this reading may name: `reading.<metric>`, `facts.<fact>`, `state`.

        With `names` only these metrics and facts: each costs about 3 µs to hand over, and rules name few of them.
        """
        metrics, facts = self.metrics, self.facts
        if names is not None:
            metrics = {name: value for name, value in metrics.items() if name in names}
            facts = {name: value for name, value in facts.items() if name in names}
        return scope(reading=numbers(metrics), facts=dict(facts), state=self.state)


@dataclass(frozen=True, slots=True)
class Probe:
    """An end-to-end check. `ok` is None when it could not be made (nothing learnt)."""

    resource: str
    at: datetime
    ok: bool | None
    seconds: float
    what: str
    error: str | None = None
