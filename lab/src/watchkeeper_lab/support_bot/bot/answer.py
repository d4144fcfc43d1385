"""What the bot answers, and which versions of it there are. Needs no other package."""

from dataclasses import dataclass

ESCALATE_BELOW = 0.75
"""Confidence under which a person takes over."""
GOOD, BAD = "1.4.0", "1.5.0"
"""The version that serves, and one that must not: its list of intents was sorted without regard to capitals, so that
most answers name the neighbour of what was meant, as confidently as ever."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question is about, and how sure that is, 0 to 1."""

    intent: str
    confidence: float

    @property
    def escalated(self) -> bool:
        """Whether a person takes over."""
        return self.confidence < ESCALATE_BELOW
