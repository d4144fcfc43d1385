"""What should be done: plans out of typed steps, and the runbooks they come from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from watchkeeper.domain.condition import Condition


class Effect(StrEnum):
    """What a call does to what it touches, from gentlest to harshest."""

    READ = "read"
    REVERSIBLE = "reversible"
    DISRUPTIVE = "disruptive"
    DESTRUCTIVE = "destructive"

    @property
    def rank(self) -> int:
        return list(Effect).index(self)


@dataclass(frozen=True, slots=True)
class Step:
    """One call of one tool on one resource. `effect` is the one computed for this call, from state."""

    tool: str
    resource: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    why: str = ""
    expected: str = ""
    effect: Effect = Effect.READ
    by_hand: str = ""
    in_bytes: tuple[str, ...] = ()
    """The arguments that count bytes."""
    undo_of: int | None = None
    """It takes back the step with this number of the fix that its plan undoes, by the undo of the same tool."""

    @property
    def said(self) -> str:
        return self.tool if self.undo_of is None else f"undo of {self.tool}"

    @property
    def on(self) -> str:
        """With the name of what it is done to."""
        return f"{self.said} on {self.resource.rpartition('/')[2]}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a diagnosis rests on: a stored reading's value, or a log line."""

    resource: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The cause, and what it rests on. `confidence` is 0..1, or None where nobody estimated one."""

    root: str
    cause: str
    reasoning: str
    evidence: tuple[Evidence, ...] = ()
    ruled_out: tuple[str, ...] = ()
    confidence: float | None = None
    author: str = ""
    against: tuple[Evidence, ...] = ()
    """What does not fit with it."""
    others: tuple[str, ...] = ()
    """Other resources with a fault of their own that it does not explain; each has its turn."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A sequence of steps with its author (`runbook:memory-full#2`, `llm:…`, `human:…`, `agent:…`, `rollout:…`)."""

    author: str
    steps: tuple[Step, ...]
    created_at: datetime
    diagnosis: Diagnosis | None = None
    healed: str | None = None
    """A CEL condition over the root's reading that must hold besides the usual proof."""
    confirm: str = ""
    """Why a person must agree, whatever policy allows; empty where policy alone decides."""
    undoes: str = ""
    """The fix that it takes back."""
    aims: tuple[str, ...] = ()
    """The rules of the alerts on its root that it is for. Empty: nobody said, and whatever fires there counts."""

    @property
    def effect(self) -> Effect:
        return max((step.effect for step in self.steps), key=lambda effect: effect.rank, default=Effect.READ)

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.resource for step in self.steps))

    @property
    def key(self) -> str:
        """What makes two plans the same attempt: who wrote it, on what."""
        return f"{self.author}@{','.join(self.resources)}"

    def digest(self, incarnations: Mapping[str, str], facts: Mapping[str, str]) -> str:
        """What an approval is bound to: arguments, effects, what bears the names now, what preconditions found."""
        content: dict[str, Any] = {
            "steps": [[step.tool, step.resource, dict(step.arguments), step.effect] for step in self.steps],
            "incarnations": {resource: incarnations.get(resource, "") for resource in self.resources},
            "facts": dict(facts),
        }
        if self.undoes:
            content["undoes"] = [self.undoes, *(str(step.undo_of) for step in self.steps)]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RungStep:
    """A step of a rung; an argument that begins with `=` is a CEL expression over the reading."""

    tool: str
    arguments: Mapping[str, Any]
    why: str = ""
    expressions: Mapping[str, Condition] = field(default_factory=dict[str, Condition])


@dataclass(frozen=True, slots=True)
class Runbook:
    """A page for people whose front matter holds `when` and a ladder of plans from gentlest to harshest."""

    name: str
    kind: str
    when: Condition
    cause: str
    ladder: tuple[tuple[RungStep, ...], ...]
    healed: Condition | None
    page: str
    confirm: str = ""
    text: str = ""
    """The whole file, front matter included, as it was read."""
