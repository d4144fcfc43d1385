"""What a replay asks, drawn from real questions: as they are, or shifted. Values; the same seed gives the same."""

import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from watchkeeper_lab.errors import BadInputError
from watchkeeper_lab.support_bot.bot.answer import BAD
from watchkeeper_lab.support_bot.questions import Question, held_out, questions

When = Literal["soon", "late", "never"]
SHIFTS = {
    "none": "questions as customers ask them, none of which it learnt from",
    "unseen-intents": "questions about what it was never trained on",
    "truncated": "questions cut off after a few words",
    "misspelt": "questions with a slip of the finger in most words",
    "drifting-shares": "more and more questions are about the same few intents",
    "late-labels": "what was meant becomes known only when all was asked",
    "no-labels": "what was meant never becomes known",
    "slow": "each answer takes longer",
    "errors": "some questions get no answer",
    "bad-version": f"version {BAD} is put in, whose list of intents is in the wrong order",
}
"""What can be asked for, and what it is."""
CUT_WORDS = (2, 4)
"""Words that a truncated question keeps, at least and at most."""
SLIPS = 0.6
"""Share of the words of four letters or more that get a slip."""
FEW = 5
"""Intents that shares drift towards."""
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of a replay. `at` in seconds since its beginning; `shifted` by one of the shifts of texts."""

    id: str
    at: float
    customer: int
    text: str
    truth: str
    label: When
    shifted: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be asked: `number` questions at `rate` a second. `share` of them are shifted; of `labels` the truth is
    told. `delay_seconds` and `error_share` are what `slow` and `errors` do."""

    shifts: tuple[str, ...] = ("none",)
    number: int = 300
    rate: float = 20.0
    seed: int = 1
    share: float = 1.0
    labels: float = 0.5
    delay_seconds: float = 0.4
    error_share: float = 0.1

    def __post_init__(self) -> None:
        for shift in self.shifts:
            if shift not in SHIFTS:
                near = difflib.get_close_matches(shift, SHIFTS, n=1)
                hint = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(SHIFTS)}."
                raise BadInputError(f"There is no shift `{shift}`.", hint)
        for what, value in (("share", self.share), ("labels", self.labels), ("errors", self.error_share)):
            if not 0 <= value <= 1:
                raise BadInputError(f"{value} is no share of the questions ({what}).", "Write a number from 0 to 1.")
        if self.number < 1 or not 0 < self.rate <= 1000:
            raise BadInputError(
                f"{self.number} questions at {self.rate} a second cannot be asked.",
                "Ask at least one, at most 1,000 a second.",
            )


def planned(order: Order, name: str = "replay") -> list[Ask]:
    """Every question of a replay, in order. The same order gives the same, whenever and wherever; ids begin with the
    name."""
    dice = random.Random(repr(order))
    unknown = held_out()
    usual = [one for one in questions("test") if one.intent not in unknown]
    strange = [one for one in questions("test") if one.intent in unknown]
    few = dice.sample(sorted({one.intent for one in usual}), FEW)
    narrow = [one for one in usual if one.intent in few]
    made: list[Ask] = []
    for number in range(order.number):
        shifted = dice.random() < order.share
        question = dice.choice(usual)
        if shifted and "drifting-shares" in order.shifts and dice.random() < (number + 1) / order.number:
            question = dice.choice(narrow)
        if shifted and "unseen-intents" in order.shifts:
            question = dice.choice(strange)
        ask = _asked(f"{name}-{number}", number / order.rate, question, order, dice)
        made.append(_shifted(ask, order.shifts, dice) if shifted else ask)
    return made


def _asked(id: str, at: float, question: Question, order: Order, dice: random.Random) -> Ask:
    told = dice.random() < order.labels and "no-labels" not in order.shifts
    label: When = ("late" if "late-labels" in order.shifts else "soon") if told else "never"
    return Ask(id, at, dice.randint(1, 1000), question.text, question.intent, label)


def _shifted(ask: Ask, shifts: Sequence[str], dice: random.Random) -> Ask:
    text = ask.text
    if "misspelt" in shifts:
        text = misspelt(text, dice)
    if "truncated" in shifts:
        text = truncated(text, dice)
    changed = text != ask.text or "unseen-intents" in shifts or "drifting-shares" in shifts
    return replace(ask, text=text, shifted=changed)


def truncated(text: str, dice: random.Random) -> str:
    """The first few words of it."""
    return " ".join(text.split()[: dice.randint(*CUT_WORDS)])


def misspelt(text: str, dice: random.Random) -> str:
    """With a slip of the finger in most longer words: letters swapped, left out, doubled, or the key beside."""
    return " ".join(_slip(word, dice) if len(word) >= 4 and dice.random() < SLIPS else word for word in text.split(" "))


def _slip(word: str, dice: random.Random) -> str:
    place = dice.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    match dice.randrange(4):
        case 0:
            return f"{before}{after[0]}{letter}{after[1:]}"
        case 1:
            return before + after
        case 2:
            return f"{before}{letter}{letter}{after}"
        case _:
            return f"{before}{_beside(letter, dice)}{after}"


def _beside(letter: str, dice: random.Random) -> str:
    row = next((row for row in KEYS if letter.lower() in row), letter)
    place = row.find(letter.lower())
    near = row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    return dice.choice(near) if near else letter
