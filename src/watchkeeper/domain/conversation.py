"""What people asked a language model, and what it answered: each claim with what it stands on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from watchkeeper.domain.policy import Principal

Cited = Literal["reading", "incident", "event", "log", "fix", "alert", "answer"]


@dataclass(frozen=True, slots=True)
class Citation:
    """What a mark in an answer stands for. `id` finds it again: of a reading or a log line its resource and its time,
    of an event its number; `href` is where the console shows it."""

    mark: str
    """As it stands in the text, between brackets: `R3`, `inc-1a2b3c4d`."""
    kind: Cited
    id: str
    href: str
    said: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """A figure of an answer that stands in nothing which its sentence cites."""

    figure: str
    """As it was said, with its unit."""
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProposedStep:
    """One call that an answer proposes. `refused`: why it could not be made at that time; empty where it could."""

    tool: str
    resource: str
    """Its slug."""
    arguments: Mapping[str, Any]
    why: str
    effect: str
    refused: str = ""
    in_bytes: tuple[str, ...] = ()
    """The arguments that count bytes."""


@dataclass(frozen=True, slots=True)
class ProposedFix:
    """A fix that an answer proposes. Nothing comes of it until a person hands it in."""

    token: str
    summary: str
    cause: str
    steps: tuple[ProposedStep, ...]
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """What it looked at for an answer."""

    tool: str
    arguments: Mapping[str, Any]
    about: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer. `removed`: marks that stood for nothing, and were taken out. `unsupported`: figures
    that do not stand in what they are cited from. `cost`: US dollars, None where no price is known. `failed`: why there
    is no answer, or only a part of it."""

    id: str
    at: datetime
    question: str
    text: str = ""
    citations: tuple[Citation, ...] = ()
    looks: tuple[Glance, ...] = ()
    plan: ProposedFix | None = None
    removed: tuple[str, ...] = ()
    unsupported: tuple[Doubt, ...] = ()
    model: str = ""
    tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Questions that follow one another, the oldest first."""

    id: str
    at: datetime
    by: Principal
    turns: tuple[Turn, ...] = ()
    marks: Mapping[str, int] = field(default_factory=dict[str, int])
    """By letter, the highest number that was given: a mark means the same throughout."""

    @property
    def title(self) -> str:
        return self.turns[0].question[:120] if self.turns else ""

    @property
    def citations(self) -> dict[str, Citation]:
        """Everything that was cited so far, by mark."""
        return {one.mark: one for turn in self.turns for one in turn.citations}

    def proposal(self, token: str) -> ProposedFix | None:
        return next((turn.plan for turn in self.turns if turn.plan and turn.plan.token == token), None)

    def said(self, turn: Turn, marks: Mapping[str, int]) -> "Conversation":
        return replace(self, turns=(*self.turns, turn), marks=dict(marks))
