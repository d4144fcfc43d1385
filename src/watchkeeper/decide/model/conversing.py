"""One model asked one question, its answer told as it comes. Imported only when one is."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, RunContext, UsageLimits
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import (
    AgentStreamEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.settings import ModelSettings as RequestSettings
from pydantic_ai.tools import Tool as Function

from watchkeeper.decide.model.account import Account, Unanswered
from watchkeeper.decide.model.chat import Offered
from watchkeeper.decide.model.providers import opened
from watchkeeper.decide.model.recording import Recorded
from watchkeeper.decide.model.tracing import thought, traced

Run = Callable[[str, dict[str, Any]], Awaitable[str]]


@dataclass
class Hearing:
    """`run` carries a look-up out; `hear` is told each piece of the answer."""

    account: Account
    offered: Sequence[Offered]
    run: Run
    hear: Callable[[str], Awaitable[None]]
    before: Sequence[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Questions and answers so far."""


async def converse(instructions: str, question: str, hearing: Hearing) -> None:
    """Until the answer is through. Raises Unanswered, Spent, ConfigurationError."""
    settings = hearing.account.settings
    async with AsyncExitStack() as stack:
        model = await opened(hearing.account.model, settings.timeout, hearing.account.store.masker, stack)
        stack.enter_context(thought(hearing.account))
        agent = Agent(
            traced(Recorded(model, hearing.account, settings.timeout), hearing.account),
            instructions=instructions,
            retries={"output": 1, "tools": 2},
            model_settings=RequestSettings(max_tokens=settings.answer_tokens, temperature=0.0),
            tools=[_function(one, hearing.run) for one in hearing.offered],
            deps_type=type(None),
        )

        spoke = False

        async def heard(_: RunContext[None], events: Any) -> None:
            """What is said in one request after another is parted by an empty line."""
            nonlocal spoke
            parted = not spoke
            async for event in events:
                if piece := _text(event):
                    await hearing.hear(piece if parted else f"\n\n{piece}")
                    parted = spoke = True

        limits = UsageLimits(request_limit=settings.calls_per_question)
        try:
            await agent.run(question, message_history=_history(hearing.before), usage_limits=limits,
                            event_stream_handler=heard)  # fmt: skip
        except (AgentRunError, UserError) as problem:
            cause = problem.__cause__
            raise (cause if isinstance(cause, Unanswered) else Unanswered(str(problem))) from None


def _text(event: AgentStreamEvent) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _function(one: Offered, run: Run) -> Function[None]:
    async def call(**arguments: Any) -> str:
        return await run(one.name, arguments)

    return Function.from_schema(call, one.name, one.description, one.schema)


def _history(before: Sequence[tuple[str, str]]) -> list[ModelMessage]:
    made: list[ModelMessage] = []
    for question, answer in before:
        made.append(ModelRequest(parts=[UserPromptPart(question)]))
        made.append(ModelResponse(parts=[TextPart(answer or "(no answer)")]))
    return made
