"""One request to a language model, as it is kept: always without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Purpose = Literal["plan", "chat"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """What was sent and what came back. `seconds` is the model's time; `cost` in US dollars, None where no price is
    known. `checks`: what was wrong with the answer, in the words it was sent back with; empty where nothing was.

    `sent` holds only what is new since the request before of the same thought (`attempt`), in order.
    """

    id: str
    incident: str | None
    at: datetime
    status: Literal["answered", "failed"]
    purpose: Purpose
    model: str
    """As the configuration names it: `google:gemini-2.5-pro`."""
    provider: str
    prompt: str
    """The prompt's name, version and the first characters of its digest: `plan/1 3f9a1c2b`."""
    attempt: str
    """The thought that it belongs to: all requests for one plan share it."""
    sent: tuple[Mapping[str, Any], ...]
    answered: tuple[Mapping[str, Any], ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    checks: tuple[str, ...] = ()
    error: str = ""
    masked: int = 0
    """How many secrets were masked in what was sent."""
    price: str = ""
    """Where the price comes from, and of when it is."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent within a time. `unpriced`: calls of which no price is known; they count as free."""

    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0
