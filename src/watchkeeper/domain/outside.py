"""Alerts that others raise: told to us, never believed without a look of our own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

OutsideStatus = Literal["firing", "resolved"]
FORGET = timedelta(days=1)
"""One that fires and was not heard of for so long is no longer taken to fire: whoever raised it is gone. Alertmanager
repeats what fires every four hours by default."""


@dataclass(frozen=True, slots=True)
class OutsideAlert:
    """An alert as its sender tells it. `id` is made of sender and fingerprint: the same alert is one row, however often
    it is sent, and begins anew when it fires after it was resolved. `resource` is empty where it tells of nothing that
    is watched here, `unmatched` then says why."""

    id: str
    sender: str
    fingerprint: str
    name: str
    status: OutsideStatus
    severity: str
    summary: str
    resource: str
    unmatched: str
    labels: Mapping[str, str]
    began_at: datetime
    heard_at: datetime
    ended_at: datetime | None = None
    url: str = ""
    """Where its sender shows it."""
    times: int = 1
    """How often it was sent since it began."""

    def fires(self, at: datetime) -> bool:
        """Whether it is taken to fire at this time."""
        return self.status == "firing" and at - self.heard_at <= FORGET

    def heard_again(self, told: "OutsideAlert") -> "OutsideAlert":
        """What becomes of it when it is `told` once more: what is older than what is known changes nothing."""
        if told.status == "resolved":
            return self if self.status == "resolved" else replace(told, began_at=self.began_at, times=self.times)
        if self.status == "resolved":
            late = self.ended_at is not None and told.began_at < self.ended_at and told.began_at <= self.began_at
            return self if late else told
        return replace(told, began_at=min(self.began_at, told.began_at), times=self.times + 1)

    def within(self, begin: datetime, end: datetime) -> bool:
        """Whether it fired at some time in between."""
        return self.began_at <= end and (self.ended_at or self.heard_at) >= begin


@dataclass(frozen=True, slots=True)
class Heard:
    """What one request told, counted: what began, what ended, what was known, and what is about nothing watched."""

    firing: int = 0
    resolved: int = 0
    repeated: int = 0
    unmatched: int = 0
