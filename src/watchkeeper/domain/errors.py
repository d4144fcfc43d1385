"""Errors a person reads: what happened, why, and what to do next."""


class WatchkeeperError(Exception):
    """Something the user can act on; printed without a traceback, exit code 2 or a 4xx.

    `what` is one sentence, `next_step` the next thing to do (may be empty).
    """

    status = 400

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n{self.next_step}" if self.next_step else self.what


class ConfigurationError(WatchkeeperError):
    """The configuration, a rule, a runbook or the policy is not valid."""


class NotFound(WatchkeeperError):
    """Nothing has that name or id."""

    status = 404


class Conflict(WatchkeeperError):
    """The state of the thing does not allow it (any more)."""

    status = 409


class LeftToPeople(Conflict):
    """A person has taken it over: the loop begins nothing there."""


class Forbidden(WatchkeeperError):
    """Policy, or a missing right, does not allow it."""

    status = 403


class Refused(WatchkeeperError):
    """A tool's precondition does not hold; nothing was changed."""

    status = 409
