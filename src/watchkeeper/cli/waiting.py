"""What is waited for while a fix is followed: nobody is left before a screen that does not move."""

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

BEGINS = "a fresh look that still shows the fault, and for its turn where another fix is at work nearby"
BY_HAND = "a fresh look, and for its turn where another fix is at work nearby"
"""Of what somebody asks for by hand, or takes back: no fault needs to be there."""
PROOF = "the proof: three good looks in a row, and then the probe"
NEXT = "a fresh look, and what that leaves to be done"
WAITS = {
    "approval.approved": BEGINS,
    "fix.step.acting": "the step to end",
    "fix.executed": PROOF,
    "incident.verifying": PROOF,
    "fix.undoing": "what did not help to be taken back",
    "fix.healed": "what suffered from it to be well again, at most a minute",
    "fix.not_healed": NEXT,
    "plan.failed": NEXT,
    "plan.refused": NEXT,
    "incident.goes_on": NEXT,
}
"""By the event that has just come."""
SOONEST = 5.0
"""Seconds after which it is said again."""


class Waiting:
    """Says once what is waited for, and at each sign of life for how long that has been."""

    def __init__(self, screen: "Console") -> None:
        self._screen = screen
        self._what = ""
        self._since = monotonic()

    def begins(self, what: str) -> None:
        """Something else is waited for from now on."""
        if what != self._what:
            self._what, self._since = what, monotonic()
            self._screen.print(f"  … waits for {what}", style="dim", markup=False, soft_wrap=True)

    def after(self, kind: str) -> None:
        """An event of this kind has come."""
        if what := WAITS.get(kind):
            self.begins(what)

    def still(self) -> None:
        """Nothing has come for a while."""
        from watchkeeper.cli.screen import lasted

        seconds = monotonic() - self._since
        if self._what and seconds >= SOONEST:
            said = f"  … still waits for {self._what}: {lasted(seconds)} so far"
            self._screen.print(said, style="dim", markup=False, soft_wrap=True)
