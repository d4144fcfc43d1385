"""What keeps the hands still, and what keeps people from being told: windows, cooldowns, breakers, silences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Literal

from watchkeeper.domain.resource import Resource

RestraintStatus = Literal["standing", "over"]


def matches(pattern: str, resource: Resource) -> bool:
    """Whether a glob names a resource: by id, slug or name. `all` names every one."""
    return pattern == "all" or any(fnmatchcase(text, pattern) for text in (resource.id, resource.slug, resource.name))


def moment(at: datetime) -> str:
    """A time as a person reads it: `2026-03-01 12:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which nothing is changed by itself on what matches. Begun by hand, or out of a schedule."""

    id: str
    resources: tuple[str, ...]
    begins: datetime
    ends: datetime
    reason: str
    by: str
    """Who began it; `configuration` for a schedule's."""
    status: RestraintStatus = "standing"
    ended_by: str = ""
    quiet: bool = False
    """Whether people are told of nothing that happens there meanwhile, either."""

    def covers(self, resource: Resource, at: datetime) -> bool:
        return self.stands(at) and any(matches(pattern, resource) for pattern in self.resources)

    def stands(self, at: datetime) -> bool:
        return self.status == "standing" and self.begins <= at < self.ends

    def end(self, by: str, at: datetime) -> "Window":
        return replace(self, status="over", ended_by=by, ends=min(self.ends, at))

    @property
    def said(self) -> str:
        return f"maintenance until {moment(self.ends)}" + (f": {self.reason}" if self.reason else "") + f" ({self.id})"


@dataclass(frozen=True, slots=True)
class Silence:
    """People are not told of alerts that match all that is said; an empty matcher matches everything."""

    id: str
    resource: str
    rule: str
    severity: str
    begins: datetime
    ends: datetime
    reason: str
    by: str
    approvals: bool = False
    """Whether requests for approval are kept back, too."""
    status: RestraintStatus = "standing"
    ended_by: str = ""

    def stands(self, at: datetime) -> bool:
        return self.status == "standing" and self.begins <= at < self.ends

    def matches(self, resource: Resource | None, rule: str, severity: str) -> bool:
        """Whether it is about an alert of this rule and severity on this resource (None: it is gone)."""
        if self.resource and (resource is None or not matches(self.resource, resource)):
            return False
        return (not self.rule or fnmatchcase(rule, self.rule)) and (not self.severity or severity == self.severity)

    def expire(self, by: str, at: datetime) -> "Silence":
        return replace(self, status="over", ended_by=by, ends=min(self.ends, at))

    @property
    def about(self) -> str:
        """What it is about, in words."""
        said = [
            self.resource,
            self.rule and f"rule {self.rule}",
            self.severity and f"severity {self.severity}",
        ]
        return ", ".join(part for part in said if part)


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that keeps the hands still until a time, with the reason and what a person can do about it."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What policy is told beside the situation: what was done lately, and what holds. Per resource, of one plan."""

    changes: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many changes each resource has seen within the last hour."""
    maintenance: Mapping[str, Hold] = field(default_factory=dict[str, Hold])
    cooldown: Mapping[str, Hold] = field(default_factory=dict[str, Hold])
    breakers: Mapping[tuple[str, str], Hold] = field(default_factory=dict[tuple[str, str], Hold])
    """By tool and resource."""
    modes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where a mode holds that may be another than the configured one."""
    healers: Mapping[str, Hold] = field(default_factory=dict[str, Hold])
    """It is for somebody else to bring it back, or to bring back what it needs."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How one call of a tool turned out in the end."""

    tool: str
    resource: str
    at: datetime
    failed: bool
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """Open: the tool failed too often in a row. `resource` is None where it is open for every resource."""

    tool: str
    resource: str | None
    opened_at: datetime
    half_open_at: datetime
    failures: tuple[ToolResult, ...]

    def half_open(self, at: datetime) -> bool:
        """Whether one call may be tried again."""
        return at >= self.half_open_at

    @property
    def said(self) -> str:
        where = f" on {self.resource}" if self.resource else ""
        return (
            f"{self.tool} failed {len(self.failures)} times in a row{where}, the last time at "
            f"{moment(self.opened_at)} ({self.failures[-1].why}). It is tried again from {moment(self.half_open_at)}; "
            f"`watchkeeper tools reset {self.tool}` closes the breaker now."
        )


def breakers(outcomes: Sequence[ToolResult], limit: int, reset_after_seconds: float) -> list[Breaker]:
    """The breakers that are open after these outcomes of one tool, oldest first.

    On one resource it opens after `limit` failures in a row there; for all resources after `limit` in a row that came
    from more than one: a single sick service shall not take a tool away from the others.
    """
    if limit <= 0:
        return []
    found: list[Breaker] = []
    for resource in (None, *dict.fromkeys(outcome.resource for outcome in outcomes)):
        here = [o for o in outcomes if resource is None or o.resource == resource]
        row: list[ToolResult] = []
        for outcome in reversed(here):
            if not outcome.failed:
                break
            row.insert(0, outcome)
        if len(row) >= limit and (resource is not None or len({o.resource for o in row}) > 1):
            last = row[-1].at
            half_open = datetime.fromtimestamp(last.timestamp() + reset_after_seconds, UTC)
            found.append(Breaker(row[-1].tool, resource, last, half_open, tuple(row)))
    return found
