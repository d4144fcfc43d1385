"""Who answers a person's question, one model after the other; whatever happens it ends in time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import structlog

from watchkeeper.decide.model.account import Account, Spent, Unanswered
from watchkeeper.decide.model.citing import Marks, Telling, cited
from watchkeeper.decide.model.delimiting import Fence
from watchkeeper.decide.model.figures import Stands, doubts
from watchkeeper.decide.model.planner import INSTALL, ModelPlanner
from watchkeeper.decide.model.prompts import prompt
from watchkeeper.domain import ConfigurationError, Event, now
from watchkeeper.domain.conversation import Conversation, Glance, ProposedFix, Turn
from watchkeeper.domain.interaction import Interaction
from watchkeeper.settings.llm import ModelSettings
from watchkeeper.store import Store
from watchkeeper.store.scanning import Scanner

log = structlog.get_logger(__name__)
REMEMBERED = 6
"""Questions and answers before this one that the model is shown."""
NOTHING = "No model answered: "


@dataclass(frozen=True, slots=True)
class Offered:
    """A look-up that the model may call, as it is shown to it."""

    name: str
    description: str
    schema: dict[str, Any]


class Eyes(Protocol):
    """What it may look at. Handed in by the server, made anew for each question."""

    glances: list[Glance]
    plan: ProposedFix | None

    def begin(self) -> None:
        """Anew, for the next model."""
        ...

    def offered(self) -> Sequence[Offered]: ...

    def glance(self, tool: str, arguments: Mapping[str, Any]) -> Glance:
        """A look-up that is about to be called, as it is told and kept."""
        ...

    async def run(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """What a look-up gives, fenced; problems are answers, too."""
        ...

    async def stands_for(self, mark: str) -> Stands | None:
        """What a mark stands for, looked up in the store; None where it is not there (any more)."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """One thing told while an answer is made: `text`, `look`, `plan` or `again`."""

    kind: str
    body: Mapping[str, Any]


Tell = Callable[[Said], Awaitable[None]]


@dataclass
class Asking:
    """One question. `clock`: the asker's own time, for the prompt."""

    conversation: Conversation
    id: str
    text: str
    clock: datetime
    eyes: Eyes
    fence: Fence
    marks: Marks
    scanner: Scanner
    tell: Tell
    why: list[str] = field(default_factory=list[str])
    made: dict[str, Interaction] = field(default_factory=dict[str, Interaction])


class Chat:
    """Shares models, budget and circuit breakers with the planner."""

    def __init__(self, planner: ModelPlanner, store: Store) -> None:
        self._planner = planner
        self._store = store

    async def answer(self, asking: Asking) -> Turn:
        """Within `deadline` seconds, also where no model answers: the turn says why."""
        settings, clock = self._planner.settings, asyncio.get_running_loop().time
        start, turn = clock(), Turn(asking.id, now(), asking.scanner.text(asking.text))
        told: Turn | None = None
        if find_spec("pydantic_ai") is None:
            asking.why.append(f"its libraries are not there; {INSTALL}")
        else:
            try:
                async with asyncio.timeout(settings.deadline):
                    await asyncio.to_thread(import_module, "watchkeeper.decide.model.conversing")
                    told = await self._first(asking, turn)
            except TimeoutError:
                asking.why.append(f"no answer within {settings.deadline:g} s, all models together")
            except Exception as problem:  # an error of ours is told as one, not as a line that breaks off
                said = self._store.masker.text(f"{type(problem).__name__}: {problem}")
                log.error("a question could not be answered", question=asking.id, problem=said)
                asking.why.append(f"an error of ours: {said}")
        if told is None:
            failed = self._store.masker.text(NOTHING + "; ".join(asking.why))
            await self._event("llm.failed", asking, failed)
            told = replace(turn, failed=failed, looks=tuple(asking.eyes.glances))
        made = asking.made.values()
        known = [one.cost for one in made if one.cost is not None]
        cost = sum(known) if len(known) == len(made) else None
        return replace(told, tokens=sum(one.tokens for one in made), cost=cost, seconds=round(clock() - start, 3))

    async def _first(self, asking: Asking, turn: Turn) -> Turn | None:
        spoke = False
        for model in self._planner.settings.models:
            state = await self._planner.breakers.of(model.provider)
            if state.open(now()):
                asking.why.append(f"{model.name} is not asked: its circuit breaker is open ({state.last_error})")
                continue
            if spoke:
                await asking.tell(Said("again", {"model": model.name, "why": asking.why[-1]}))
            telling = Telling(asking.marks, asking.scanner)
            try:
                return await self._ask(model, asking, turn, telling)
            except Spent as problem:
                asking.why.append(f"{model.name}: {problem}")
                await self._event("llm.spent", asking, str(problem))
            except ConfigurationError as problem:
                asking.why.append(f"{model.name}: {problem.what}")
            except Unanswered as problem:
                said = asking.scanner.text(str(problem))
                asking.why.append(f"{model.name}: {said}")
                if problem.of_provider:
                    await self._planner.breakers.failed(model.provider, said[:300])
            spoke = spoke or telling.spoke
        return None

    async def _ask(self, model: ModelSettings, asking: Asking, turn: Turn, telling: Telling) -> Turn:
        from watchkeeper.decide.model.conversing import Hearing, converse

        asking.eyes.begin()
        text = prompt("chat")
        at = f"{now():%Y-%m-%d %H:%M:%S} UTC; for who asks {asking.clock:%A, %Y-%m-%d %H:%M:%S UTC%z}"
        said = {"{open}": asking.fence.open, "{close}": asking.fence.close, "{now}": at}
        instructions = text.text
        for name, value in said.items():
            instructions = instructions.replace(name, value)
        account = Account(
            self._store,
            self._planner.settings,
            model,
            self._planner.budget,
            asking.scanner,
            text.version,
            asking.id,
            None,
            "chat",
            traces=self._planner.traces,
            made=asking.made,
        )

        async def hear(piece: str) -> None:
            if fresh := telling.more(piece):
                await asking.tell(Said("text", {"delta": fresh}))

        async def run(tool: str, arguments: dict[str, Any]) -> str:
            made = asking.eyes.glance(tool, arguments)
            await asking.tell(Said("look", asdict(made)))
            return await asking.eyes.run(tool, arguments)

        before = [(one.question, one.text) for one in asking.conversation.turns[-REMEMBERED:]]
        hearing = Hearing(account, asking.eyes.offered(), run, hear, before)
        await converse(instructions, turn.question, hearing)
        if rest := telling.end():
            await asking.tell(Said("text", {"delta": rest}))
        if not telling.text.strip() and asking.eyes.plan is None:
            raise Unanswered("it said nothing")
        await self._planner.breakers.answered(model.provider)
        found = {mark: await asking.eyes.stands_for(mark) for mark in telling.cited}
        gone = [mark for mark, one in found.items() if one is None]
        text_told = _without(telling.text.strip(), gone)
        told_by = {mark: one for mark, one in found.items() if one is not None and (one.metrics or one.text)}
        citations = tuple(one for one in cited(asking.marks, telling) if one.mark not in gone)
        data = {"model": model.name, "prompt": text.version, "masked": asking.scanner.masked}
        await self._event("llm.answered", asking, f"{model.name} answered, citing {len(citations)}", data)
        return replace(
            turn,
            text=text_told,
            citations=citations,
            looks=tuple(asking.eyes.glances),
            plan=asking.eyes.plan,
            removed=(*telling.removed, *gone),
            unsupported=doubts(text_told, told_by),
            model=model.name,
        )

    async def _event(self, kind: str, asking: Asking, text: str, data: dict[str, Any] | None = None) -> None:
        by = asking.conversation.by.id
        await self._store.emit(Event(kind, asking.conversation.id, text, now(), by, data=data or {}))


def _without(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(f" [{mark}]", "").replace(f"[{mark}]", "").replace(f"{mark}, ", "").replace(f", {mark}", "")
    return text
