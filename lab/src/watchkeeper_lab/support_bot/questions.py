"""Real questions of a bank's customers: banking77 (`banking77/SOURCE.md`; CC BY 4.0). Needs no other package."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent / "banking77"
EVERY = 11
"""Of the intents in order of their names each of these is held out: seven of 77."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a customer asked, and what was meant: one of the intents."""

    text: str
    intent: str


def intents() -> list[str]:
    """All of them, in order of their names."""
    return sorted(json.loads((FOLDER / "categories.json").read_text()))


def held_out() -> frozenset[str]:
    """Intents that the bot never learns, so that there is something it cannot know."""
    return frozenset(intents()[EVERY // 2 :: EVERY])


@cache
def questions(part: Literal["train", "test"]) -> tuple[Question, ...]:
    """Those to learn from, or those that were never seen in training, in the order of the file."""
    with (FOLDER / f"{part}.csv").open(newline="") as lines:
        return tuple(Question(row["text"], row["category"]) for row in csv.DictReader(lines))
