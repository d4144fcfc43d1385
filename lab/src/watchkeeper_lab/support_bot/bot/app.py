"""The service: `uvicorn bot.app:app`, configured by REDIS_URL, DATABASE_URL and SUPPORT_BOT_MODEL (a folder).

Where WATCHKEEPER_URL is set it pushes what its monitors count, with WATCHKEEPER_TOKEN, every SUPPORT_BOT_PUSH_SECONDS,
and a share of the single predictions (SUPPORT_BOT_RECORDS). It works the same without.
"""

import asyncio
import json
import logging
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from watchkeeper_monitor import Monitor

from .answer import BAD, ESCALATE_BELOW, GOOD
from .model import Model
from .practice import ModelUnavailable, Practice
from .stores import UNKNOWN, Stores, open_stores

logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
FOLDER = Path(os.environ.get("SUPPORT_BOT_MODEL", "/app/model"))
PUSH_SECONDS = float(os.environ.get("SUPPORT_BOT_PUSH_SECONDS", "5"))
RECORDS = float(os.environ.get("SUPPORT_BOT_RECORDS", "0.25"))
LONGEST = 2000
"""Characters of a question."""
Id = Annotated[str, Field(min_length=1, max_length=100)]


class Asked(BaseModel):
    """A customer's question."""

    question: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    customer: int = 0
    id: Id | None = None


class Told(BaseModel):
    """What a question was about after all."""

    id: Id
    intent: Annotated[str, Field(min_length=1, max_length=120)]
    version: str = GOOD


class Bot:
    """Both versions with a monitor each, and which of them serves."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.practice = Practice()
        self.models = {version: Model.load(FOLDER, version) for version in (GOOD, BAD)}
        self.monitors = {version: _monitor(model) for version, model in self.models.items()}

    @property
    def monitor(self) -> Monitor:
        """Of the version that serves."""
        return self.monitors[self.practice.version]

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """Raises ModelUnavailable."""
        began, version, monitor = perf_counter(), self.practice.version, self.monitor
        id = asked.id or uuid.uuid4().hex
        try:
            await self.practice.obstruct(asked.question)
        except ModelUnavailable as problem:
            monitor.error(problem)
            raise
        found = await self.stores.known(version, asked.question)
        answer = found or self.models[version].answer(asked.question)
        if found is None:
            await self.stores.keep(version, asked.question, answer)
        plan = await self.stores.plan(asked.customer)
        if answer.escalated:
            await self.stores.escalate(id, asked.customer, asked.question, answer)
        monitor.track(
            answer.intent,
            answer.confidence,
            perf_counter() - began,
            text=asked.question,
            escalated=answer.escalated,
            segment=plan,
            features={"plan": None if plan == UNKNOWN else plan},
            id=id,
        )
        monitor.count("answers from the cache" if found else "answers by the model")
        return {
            "id": id,
            "intent": answer.intent,
            "confidence": round(answer.confidence, 4),
            "escalated": answer.escalated,
            "cached": found is not None,
            "plan": plan,
            "version": version,
        }


def _monitor(model: Model) -> Monitor:
    return Monitor(
        "support-bot", model.version, vocabulary=model.vocabulary, push_seconds=PUSH_SECONDS, records=RECORDS
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with open_stores() as stores:
        app.state.bot = bot = Bot(stores)
        yield
        for monitor in bot.monitors.values():
            monitor.close()


app = FastAPI(title="support-bot", lifespan=_lifespan, docs_url=None, redoc_url=None)


def _bot(request: Request) -> Bot:
    return request.app.state.bot


@app.exception_handler(ModelUnavailable)
async def _unavailable(_: Request, problem: ModelUnavailable) -> JSONResponse:
    return JSONResponse({"error": str(problem)}, status_code=503)


@app.post("/bot/questions")
async def ask(asked: Asked, request: Request) -> dict[str, Any]:
    """What a customer wants, and whether a person takes over."""
    return await _bot(request).answer(asked)


@app.post("/bot/labels")
async def label(told: list[Told], request: Request) -> dict[str, int]:
    """What questions were about after all, whenever that becomes known."""
    bot = _bot(request)
    if unknown := {one.version for one in told} - bot.monitors.keys():
        raise HTTPException(422, f"there is no version {min(unknown)}")
    for one in told:
        bot.monitors[one.version].label(one.id, one.intent)
    return {"taken": len(told)}


@app.get("/bot/model")
async def card() -> dict[str, Any]:
    """What it learnt from, and how right it was on questions kept from it."""
    said: dict[str, Any] = json.loads((FOLDER / "card.json").read_text())
    return said | {"escalates_below": ESCALATE_BELOW}


@app.get("/bot/summary")
async def summary(request: Request, version: Annotated[str | None, Query()] = None) -> dict[str, Any]:
    """What this process counted, by its own monitor: with no server needed."""
    monitors = _bot(request).monitors
    if version is not None and version not in monitors:
        raise HTTPException(404, f"there is no version {version}")
    monitor = monitors[version] if version else _bot(request).monitor
    return monitor.summary().to_dict()


@app.post("/bot/push")
async def push(request: Request) -> dict[str, Any]:
    """Send what was counted now instead of with the next turn; how that went."""
    monitors = _bot(request).monitors.values()
    for monitor in monitors:
        await asyncio.to_thread(monitor.push)
    told = [monitor.pushed for monitor in monitors]
    return {
        "configured": any(one is not None for one in told),
        "waiting": sum(one.waiting for one in told if one),
        "problem": next((one.problem for one in told if one and one.problem), ""),
    }


if os.environ.get("SUPPORT_BOT_PRACTICE") == "1":

    @app.put("/bot/practice")
    async def practise(practice: Practice, request: Request) -> Practice:
        """Behave so from now on."""
        _bot(request).practice = practice
        return practice


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether this process is alive."""
    return {"status": "ok"}


@app.get("/bot/ready")
@app.get("/ready")
async def ready() -> dict[str, str]:
    """Whether it answers questions: it does without its stores, so that they are not asked."""
    return {"status": "ready"}
