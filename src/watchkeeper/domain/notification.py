"""What people are told: one message, what came of sending it, and what is kept of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from watchkeeper.domain.incident import Incident
from watchkeeper.domain.policy import Approval
from watchkeeper.domain.rule import Severity

LetterStatus = Literal["dead", "delivered", "dismissed"]
Result = Literal["delivered", "passed", "refused", "later"]


@dataclass(frozen=True, slots=True)
class Message:
    """One event, with what a person needs to know beside it. A channel makes of it what its receiver understands."""

    id: int
    """The event's number: what tells a receiver that it has had it already."""
    kind: str
    text: str
    at: datetime
    by: str = ""
    subject: str = ""
    severity: Severity = "info"
    environment: str = ""
    resource: str | None = None
    """The id of what it is about; `slug` is what people call it."""
    slug: str = ""
    incident_id: str | None = None
    incident: Incident | None = None
    """As it is now."""
    rules: tuple[str, ...] = ()
    """Of the incident's alerts."""
    approval: Approval | None = None
    following: str = ""
    """What to do next, in a few words; empty where nothing is."""
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    links: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def line(self) -> str:
        """All of it in one line, for receivers that show nothing else: what it is about goes before."""
        about = ", ".join(name for name in (self.slug, self.incident_id) if name and name not in self.text)
        said = f"{about}: {self.text}" if about else self.text
        return f"{said} — {self.following}" if self.following else said


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending a message.

    `delivered`; `passed`: this channel has nothing to tell of it; `refused`: the same would be refused again; `later`:
    try again, after so many seconds where the receiver said so.
    """

    result: Result
    said: str = ""
    after: float | None = None
    answered: bool = True
    """Whether anybody answered at all."""
    thread: Mapping[str, str] | None = None
    """What the channel must know when it tells more of the same incident."""


@dataclass(frozen=True, slots=True)
class Thread:
    """That a channel has told of an incident, and what it must know to tell more."""

    id: str
    at: datetime
    ref: Mapping[str, str] = field(default_factory=dict[str, str])

    @staticmethod
    def key(channel: str, incident: str) -> str:
        return f"{channel}/{incident}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: a message that could not be delivered. It is kept until somebody sends it again or dismisses
    it."""

    id: str
    channel: str
    event: int
    kind: str
    text: str
    reason: str
    at: datetime
    incident: str | None = None
    status: LetterStatus = "dead"
    attempts: int = 1
    tried_at: datetime | None = None
    by: str = ""
    """Who sent it again, or dismissed it."""

    def tried(self, reason: str, at: datetime) -> "Letter":
        return replace(self, reason=reason, attempts=self.attempts + 1, tried_at=at)

    def end(self, status: LetterStatus, by: str, at: datetime) -> "Letter":
        return replace(self, status=status, by=by, tried_at=at)
