"""Asks the support-bot of one lab what an order says, at its rate, through nginx; on loopback and nowhere else."""

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from watchkeeper_lab.errors import LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.loopback import loopback
from watchkeeper_lab.support_bot.bot.answer import BAD, GOOD
from watchkeeper_lab.support_bot.shifts import Ask, Order, planned

AT_ONCE = 16
"""Questions that are on their way at most."""
PATIENCE = 15.0
"""Seconds for which an answer is waited for."""
TOGETHER = 200
"""Labels told at once, at most."""


@dataclass(slots=True)
class Asked:
    """What came of a replay, as who asked saw it."""

    answered: int = 0
    failed: int = 0
    right: int = 0
    escalated: int = 0
    cached: int = 0
    confidence: float = 0.0
    """Summed up."""
    labels: int = 0
    seconds: float = 0.0
    version: str = GOOD
    statuses: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0
    """Seconds of the slowest answer."""
    pushed: str = ""
    """How the bot's pushes to a Watchkeeper went."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; what is not known is None."""

        def share(part: float) -> float | None:
            return round(part / self.answered, 4) if self.answered else None

        return {
            "asked": self.answered + self.failed,
            "answered": self.answered,
            "failed": dict(self.statuses),
            "version": self.version,
            "accuracy": share(self.right),
            "confidence_mean": share(self.confidence),
            "escalated": share(self.escalated),
            "cached": share(self.cached),
            "labels_told": self.labels,
            "seconds": round(self.seconds, 2),
            "slowest_seconds": round(self.slowest, 3),
            "pushed": self.pushed,
        }


async def replay(lab: Lab, order: Order) -> Asked:
    """Ask everything, tell the labels that are to be told, and have the bot push what it counted.

    Whatever the shifts change in the bot (its pace, its errors, its version) is as before when this returns. Raises
    `LabError` where there is no bot.
    """
    done = Asked(version=BAD if "bad-version" in order.shifts else GOOD)
    async with loopback(lab.shop_url, timeout=PATIENCE) as client:
        await _behave(client, order)
        began = time.monotonic()
        try:
            late = await _ask_all(client, planned(order, uuid.uuid4().hex), began, done)
            await _push(client, done)
        finally:
            await _behave(client, Order())
        await _tell(client, late, done)
        await _push(client, done)
        done.seconds = time.monotonic() - began
    return done


async def _behave(client: httpx.AsyncClient, order: Order) -> None:
    wanted = {
        "version": BAD if "bad-version" in order.shifts else GOOD,
        "delay_seconds": order.delay_seconds if "slow" in order.shifts else 0,
        "error_share": order.error_share if "errors" in order.shifts else 0,
    }
    said = "no answer"
    try:
        answer = await client.put("/bot/practice", json=wanted)
        if answer.status_code == 200:
            return
        said = f"status {answer.status_code}: {answer.text[:120]}"
    except httpx.HTTPError as error:
        said = type(error).__name__
    raise LabError(
        f"No support-bot answers in this lab ({said}).",
        "Start it with `watchkeeper lab up --with support-bot`, and this lab's `--name`.",
    )


async def _ask_all(client: httpx.AsyncClient, asks: list[Ask], began: float, done: Asked) -> list[Ask]:
    """Ask each at its time; returns those answered whose label comes late."""
    waiting = iter(asks)
    soon: list[Ask] = []
    late: list[Ask] = []

    async def customer() -> None:
        for ask in waiting:
            await asyncio.sleep(began + ask.at - time.monotonic())
            if not await _ask(client, ask, done):
                continue
            if ask.label == "soon":
                soon.append(ask)
            elif ask.label == "late":
                late.append(ask)
            if len(soon) >= TOGETHER:
                told, soon[:] = soon.copy(), []
                await _tell(client, told, done)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, len(asks))):
            group.create_task(customer())
    await _tell(client, soon, done)
    return late


async def _ask(client: httpx.AsyncClient, ask: Ask, done: Asked) -> bool:
    began = time.monotonic()
    try:
        answer = await client.post(
            "/bot/questions", json={"question": ask.text, "customer": ask.customer, "id": ask.id}
        )
        problem = "" if answer.status_code == 200 else f"status {answer.status_code}"
    except httpx.HTTPError as error:
        answer, problem = None, type(error).__name__
    done.slowest = max(done.slowest, time.monotonic() - began)
    if answer is None or problem:
        done.failed += 1
        done.statuses[problem] += 1
        return False
    said: dict[str, Any] = answer.json()
    done.answered += 1
    done.right += said["intent"] == ask.truth
    done.escalated += said["escalated"]
    done.cached += said["cached"]
    done.confidence += said["confidence"]
    return True


async def _tell(client: httpx.AsyncClient, asks: list[Ask], done: Asked) -> None:
    for start in range(0, len(asks), TOGETHER):
        some = asks[start : start + TOGETHER]
        told = [{"id": one.id, "intent": one.truth, "version": done.version} for one in some]
        (await client.post("/bot/labels", json=told)).raise_for_status()
        done.labels += len(some)


async def _push(client: httpx.AsyncClient, done: Asked) -> None:
    answer = await client.post("/bot/push")
    answer.raise_for_status()
    said: dict[str, Any] = answer.json()
    done.pushed = (said["problem"] or f"{said['waiting']} wait") if said["configured"] else "nowhere"
