"""What came of a fix, judged by evidence alone."""

from dataclasses import dataclass
from typing import Literal

from watchkeeper.domain.reading import Probe, Reading

VerdictOutcome = Literal["healed", "not_healed", "inconclusive", "not_tried"]
NO_FAULT = "nothing was wrong before, and it is still well"
NO_CREDIT = "it is well again since, and whether by this nothing can tell"
"""Why a verdict that is well heals nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judged from readings and probe alone; the same for a fix, a rollout stage and a recovery. `not_tried`: nothing
    was done, so there is nothing to judge."""

    outcome: VerdictOutcome
    reasons: tuple[str, ...]
    before: Reading | None = None
    after: tuple[Reading, ...] = ()
    probe: Probe | None = None
    hindered: tuple[str, ...] = ()
    """Ids of alerts of other, grave faults that fired while a step failed: it tells nothing of the plan."""

    @property
    def said(self) -> str:
        """The outcome in a word or two: what was not ill is not healed."""
        if self.recovered:
            return "recovered"
        return "still well" if NO_FAULT in self.reasons else self.outcome.replace("_", " ")

    @property
    def recovered(self) -> bool:
        """Whether it is well again though no step was carried out to its end: that proves nothing of the plan."""
        return NO_CREDIT in self.reasons
