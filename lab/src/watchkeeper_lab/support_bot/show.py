"""What a Watchkeeper says of the support-bot before and after a shift; the part of the demonstration about models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from watchkeeper_lab.engine import Say
from watchkeeper_lab.errors import LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.support_bot import part
from watchkeeper_lab.support_bot.replay import replay
from watchkeeper_lab.support_bot.shifts import SHIFTS, Order

MODEL = f"/api/models/{part.NAME}"
SHIFT = "truncated"
COLUMNS = {
    "input_length": "drift of the question's length",
    "prediction": "drift of what is predicted",
    "confidence": "drift of the confidence",
}
ACCURACY, ESCALATION = ("performance", "accuracy_total"), ("business", "escalation_rate")
NOISY = "latency_seconds"
"""The one column that has nothing to do with what was asked: on a busy machine it does shift."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was counted in a stretch of time, and how far it lies from the reference."""

    predictions: int
    labelled: int
    accuracy: float
    """Of those with a label; NaN where there is none."""
    confidence: float
    escalated: float
    shifts: Mapping[str, str]
    """By column: `none`, `moderate` or `large`."""

    @property
    def shifted(self) -> list[str]:
        """The columns that have shifted, but for the noisy one."""
        return sorted(name for name, shift in self.shifts.items() if shift != "none" and name != NOISY)


@dataclass(frozen=True, slots=True)
class Told:
    """Before the shift, and since."""

    before: Stretch
    after: Stretch

    @property
    def right(self) -> bool:
        """Whether the quiet time is told from the shift."""
        noticed = "input_length" in self.after.shifted and self.after.accuracy < self.before.accuracy
        return noticed and not self.before.shifted


async def hear(lab: Lab, client: httpx.AsyncClient, say: Say, number: int = 200, rate: float = 100.0) -> Told:
    """Ask as customers do, make that the reference, ask on, then ask with the shift. `client`: the server, as an admin.

    Raises `LabError` where the server does not take what is pushed.
    """
    say(f"{number} real questions that it did not learn from; what comes of them is the reference…")
    await _asked(lab, Order(number=number, rate=rate, seed=1))
    made = await client.put(f"{MODEL}/reference", json={"since": "2020-01-01T00:00:00Z"})
    made.raise_for_status()
    say(f"{number // 2} more of them…")
    await _asked(lab, Order(number=number // 2, rate=rate, seed=2))
    before, quiet = await _summary(client), await _shifts(client)
    say(f"Now {SHIFTS[SHIFT]}…")
    await _asked(lab, Order((SHIFT,), number=number, rate=rate, seed=3))
    after = await _summary(client)
    return Told(stretch({}, before, quiet), stretch(before, after, await _shifts(client)))


def stretch(before: Mapping[str, Any], after: Mapping[str, Any], shifts: Mapping[str, str]) -> Stretch:
    """What one summary counts and an earlier one did not; of an empty one: all of it."""
    predictions, confidence = _since(before, after, ("predictions",), ("performance", "confidence_mean"))
    labelled, right = _since(before, after, (*ACCURACY, "of"), (*ACCURACY, "value"))
    _, escalated = _since(before, after, (*ESCALATION, "of"), (*ESCALATION, "value"))
    return Stretch(int(predictions), int(labelled), right, confidence, escalated, shifts)


def _since(
    before: Mapping[str, Any], after: Mapping[str, Any], times: tuple[str, ...], mean: tuple[str, ...]
) -> tuple[float, float]:
    """How often something came since, and its mean over that: from two means over all, and of how many they are."""
    first, second = _at(before, times), _at(after, times)
    number = second - first
    total = _at(after, mean) * second - _at(before, mean) * first
    return number, total / number if number else float("nan")


def _at(summary: Mapping[str, Any], path: tuple[str, ...]) -> float:
    found: Any = summary
    for name in path:
        found = found.get(name) if found else None
    return float(found or 0)


async def _asked(lab: Lab, order: Order) -> None:
    done = await replay(lab, order)
    if done.pushed != "0 wait":
        raise LabError(f"What the support-bot counted was not taken: {done.pushed}.")


async def _summary(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(f"{MODEL}/summary")
    answer.raise_for_status()
    return answer.json()


async def _shifts(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.get(f"{MODEL}/drift")
    answer.raise_for_status()
    return {one["name"]: one["shift"] for one in answer.json()["columns"]}


async def sender(client: httpx.AsyncClient) -> str:
    """A token with which monitors push, and no more."""
    made = await client.post("/api/tokens", json={"name": part.NAME, "role": "sender", "expires": "1d"})
    made.raise_for_status()
    return made.json()["token"]


async def act(lab: Lab, base_url: str, token: str, console: Console) -> bool:
    """The demonstration: bot up, quiet, shift, told; whether it went right. Left out and said without containers."""
    console.print()
    console.rule("A model: the support-bot")
    if lab.ground != "container":
        console.print("Left out: the support-bot runs in containers only.")
        return True
    async with loopback(base_url, timeout=30.0, headers={"Authorization": f"Bearer {token}"}) as client:
        await part.start(lab, console.print, part.Server(base_url, await sender(client)))
        told = await hear(lab, client, console.print)
    console.print(table(told))
    return told.right


def table(told: Told) -> Table:
    """Both stretches side by side."""
    both = (told.before, told.after)
    shown = Table(title="What Watchkeeper says of it", box=SIMPLE_HEAD)
    for column in ("", "before", f"since: {SHIFT}"):
        shown.add_column(column)
    shown.add_row("predictions", *[str(one.predictions) for one in both])
    shown.add_row("right, where a label came", *[_right(one) for one in both])
    shown.add_row("mean confidence", *[f"{one.confidence:.2f}" for one in both])
    shown.add_row("handed over to a person", *[f"{one.escalated:.0%}" for one in both])
    for name, title in COLUMNS.items():
        if any(name in one.shifts for one in both):
            shown.add_row(title, *[one.shifts.get(name, "not compared") for one in both])
    return shown


def _right(one: Stretch) -> str:
    return f"{one.accuracy:.0%} of {one.labelled}" if one.labelled else "no label"
