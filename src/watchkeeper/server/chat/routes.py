"""`/api/llm/chat`: a question, and the answer as it is made; `/api/llm/conversations`: those of before."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python

from watchkeeper.decide.model import Asking, Chat, Fence, Told, known
from watchkeeper.domain import Conflict, Event, Forbidden, Principal, now
from watchkeeper.domain.conversation import Conversation, Turn
from watchkeeper.server.chat.eyes import Sight
from watchkeeper.server.chat.looks import LOOKS
from watchkeeper.server.chat.proposing import HANDS_OFF
from watchkeeper.server.limits import TooOften
from watchkeeper.server.live.stream import Feed
from watchkeeper.server.openapi import EVENTS, MEDIA
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Asker, Here, Viewer
from watchkeeper.server.views import Moment, Page
from watchkeeper.store import new_id
from watchkeeper.store.scanning import Scanner

router = APIRouter(prefix="/api/llm", tags=["llm"])
AT_ONCE = 4
"""Questions that are answered at the same time."""
BEAT = 15.0
"""Seconds of silence after which a sign of life is given."""
TOOLS = {tool.name: tool for tool in (*LOOKS, *HANDS_OFF)}
_RUNNING: set[asyncio.Task[None]] = set()


class Question(BaseModel):
    """A question. `conversation`: the one it follows in; `at`: the asker's own clock, by which times are meant."""

    model_config = ConfigDict(extra="forbid")
    message: str = Field(min_length=1, max_length=4000)
    conversation: str | None = Field(default=None, max_length=60)
    at: Moment | None = None


class ConversationLine(BaseModel):
    """One conversation in a list."""

    id: str
    at: datetime
    by: str
    title: str
    turns: int


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "The answer as it is made, told as events", "content": {MEDIA: EVENTS}}
}


@router.post("/chat", status_code=200, response_model=None, response_class=Feed, responses=_STREAM)
async def ask(body: Question, runtime: Here, who: Asker) -> Feed:
    """Ask about what is watched: why was it slow, what changed, what was done. A language model looks with tools that
    only read, and answers with citations; a fix that it proposes is handed in by you, at `POST /api/fixes`.

    Events: `begun`, `text`, `look`, `plan`, `again` (what was said is withdrawn: another model answers), then `done` or
    `failed`. Closing the connection ends the asking.
    """
    model = runtime.decide.llm
    if model is None:
        raise Conflict(
            "No language model is configured: nobody can answer.",
            "Say which under `llm:` in watchkeeper.yaml; see docs/language-model.md.",
        )
    before = await _conversation(runtime, body.conversation, who)
    if len(_RUNNING) >= AT_ONCE:
        raise TooOften(f"{AT_ONCE} questions are being answered already.", "Try again in a few seconds.", 5)
    scanner = Scanner(runtime.store.masker, emails=model.settings.mask_email)
    fence, marks = Fence(scanner), known(before.citations, before.marks)
    clock = body.at or now().astimezone()
    sight = Sight(runtime, who, clock, fence, marks, TOOLS)
    told: asyncio.Queue[tuple[str, Mapping[str, Any]] | None] = asyncio.Queue()

    async def tell(said: Told) -> None:
        told.put_nowait((said.kind, said.body))

    asking = Asking(before, new_id("chat"), body.message, clock, sight, fence, marks, scanner, tell)
    task = asyncio.create_task(_answer(runtime, Chat(model, runtime.store), asking, told), name="chat")
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    held = AsyncExitStack()
    held.push_async_callback(_end, task)
    return Feed(_pieces(told), held)


async def _conversation(runtime: Runtime, key: str | None, who: Principal) -> Conversation:
    """Raises NotFound, Forbidden."""
    if key is None:
        return Conversation(new_id("conv"), now(), who)
    found = await runtime.store.get(Conversation, key)
    if found.by.id != who.id:
        raise Forbidden(f"{key} is a conversation of {found.by.name}.", "Begin one of your own: leave it out.")
    return found


async def _answer(
    runtime: Runtime, chat: Chat, asking: Asking, told: "asyncio.Queue[tuple[str, Mapping[str, Any]] | None]"
) -> None:
    """In a task of its own, which is ended when nobody listens any more. What was asked is kept, answered or not."""
    conversation = asking.conversation
    told.put_nowait(("begun", {"conversation": conversation.id, "interaction": asking.id}))
    by = conversation.by
    asked = f"{by.name} asks: {asking.scanner.text(asking.text)[:200]}"
    await runtime.store.emit(Event("llm.asked", conversation.id, asked, now(), by.id))
    turn = Turn(asking.id, now(), asking.scanner.text(asking.text), failed="broken off by whoever asked")
    try:
        turn = await chat.answer(asking)
    finally:
        await runtime.store.save(conversation.said(turn, asking.marks.numbers))
        for said in _ending(turn):
            told.put_nowait(said)
        told.put_nowait(None)


def _ending(turn: Turn) -> list[tuple[str, Mapping[str, Any]]]:
    if turn.failed:
        said = "Runbooks, `watchkeeper status` and `watchkeeper incidents` need no model; `watchkeeper llm` tells more."
        return [("failed", {"title": "No answer", "detail": turn.failed, "next": said})]
    made: list[tuple[str, Mapping[str, Any]]] = []
    if turn.plan is not None:
        plan = asdict(turn.plan)
        plan["steps"] = [{**step, "with": step.pop("arguments")} for step in plan["steps"]]
        made.append(("plan", {**plan, "resource": turn.plan.steps[0].resource}))
    done = {
        "text": turn.text,
        "citations": [asdict(one) for one in turn.citations],
        "removed": turn.removed,
        "unsupported": [asdict(one) for one in turn.unsupported],
        "tokens": turn.tokens,
        "cost_usd": turn.cost,
        "seconds": turn.seconds,
        "model": turn.model,
    }
    return [*made, ("done", done)]


async def _pieces(told: "asyncio.Queue[tuple[str, Mapping[str, Any]] | None]") -> AsyncGenerator[str]:
    while True:
        try:
            async with asyncio.timeout(BEAT):
                said = await told.get()
        except TimeoutError:
            yield ": still here\n\n"
            continue
        if said is None:
            return
        body = json.dumps(to_jsonable_python(said[1], fallback=str), ensure_ascii=False)
        yield f"event: {said[0]}\ndata: {body}\n\n"


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.shield(asyncio.gather(task, return_exceptions=True))


@router.get("/conversations")
async def list_conversations(
    runtime: Here,
    who: Viewer,
    mine: Annotated[bool, Query(description="only your own")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Moment | None = None,
) -> Page[ConversationLine]:
    """What was asked, newest first."""
    where: dict[str, Any] = {"by": who.id} if mine else {}
    found = await runtime.store.select(Conversation, limit=limit, before=before, **where)
    lines = [ConversationLine(id=c.id, at=c.at, by=c.by.id, title=c.title, turns=len(c.turns)) for c in found]
    return Page(items=lines, next=found[-1].at.isoformat() if len(found) == limit else None)


class TurnView(BaseModel):
    """One question with its answer."""

    id: str
    at: datetime
    question: str
    text: str
    citations: list[dict[str, Any]]
    looks: list[dict[str, Any]]
    plan: dict[str, Any] | None
    removed: list[str]
    unsupported: list[dict[str, Any]]
    model: str
    tokens: int
    cost_usd: float | None
    seconds: float
    failed: str

    @classmethod
    def of(cls, turn: Turn) -> "TurnView":
        ended = dict(_ending(turn)) if not turn.failed else {}
        return cls(
            id=turn.id,
            at=turn.at,
            question=turn.question,
            text=turn.text,
            citations=[asdict(one) for one in turn.citations],
            looks=[asdict(one) for one in turn.looks],
            plan=dict(ended["plan"]) if "plan" in ended else None,
            removed=list(turn.removed),
            unsupported=[asdict(one) for one in turn.unsupported],
            model=turn.model,
            tokens=turn.tokens,
            cost_usd=turn.cost,
            seconds=turn.seconds,
            failed=turn.failed,
        )


class ConversationView(BaseModel):
    """A conversation, the oldest question first."""

    id: str
    at: datetime
    by: str
    title: str
    turns: list[TurnView]


@router.get("/conversations/{key}")
async def show_conversation(key: str, runtime: Here, _: Viewer) -> ConversationView:
    """Questions and answers, with what was looked at, cited and proposed."""
    found = await runtime.store.get(Conversation, key)
    turns = [TurnView.of(turn) for turn in found.turns]
    return ConversationView(id=found.id, at=found.at, by=found.by.id, title=found.title, turns=turns)
