"""One model asked for one plan: it may look further, and what it hands in is checked. Imported only when one is."""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import Agent, ModelRetry, NativeOutput, RunContext, ToolOutput, UsageLimits
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings as RequestSettings

from watchkeeper.decide.model.account import Account, Unanswered
from watchkeeper.decide.model.answer import Answer, Argument
from watchkeeper.decide.model.providers import opened, trusted
from watchkeeper.decide.model.recording import Recorded
from watchkeeper.decide.model.tracing import thought, traced
from watchkeeper.settings.llm import ModelSettings

NATIVE = "native"
SENT_BACK = 2
"""How often an answer is sent back with what is wrong with it."""
TWICE = 2
"""How often the same look-up may be called: once more is a loop."""

Look = Callable[[str, str, dict[str, Any]], Awaitable[str]]


@dataclass
class Asked:
    """What the answer is checked by, and how it may look further."""

    complain: Callable[[Answer], Sequence[str]]
    look: Look
    account: Account
    called: dict[str, int] = field(default_factory=dict[str, int])


def load() -> None:
    """What is made once, before it is needed."""
    trusted()
    TypeAdapter(Answer).json_schema()


async def ask(instructions: str, prompt: str, asked: Asked) -> Answer:
    """An answer that passed every check. Raises Unanswered, Spent, ConfigurationError."""
    settings = asked.account.settings
    async with AsyncExitStack() as stack:
        model = await opened(asked.account.model, settings.timeout, asked.account.store.masker, stack)
        recorded = traced(Recorded(model, asked.account, settings.timeout), asked.account)
        stack.enter_context(thought(asked.account))
        agent = Agent(
            recorded,
            output_type=_handed_in(model, asked.account.model),
            deps_type=Asked,
            instructions=instructions,
            retries={"output": SENT_BACK, "tools": SENT_BACK},
            model_settings=RequestSettings(max_tokens=settings.answer_tokens, temperature=0.0),
            tools=[look],
        )
        agent.output_validator(checked)
        limits = UsageLimits(request_limit=settings.calls_per_plan)
        try:
            return (await agent.run(prompt, deps=asked, usage_limits=limits)).output
        except (AgentRunError, UserError) as problem:
            cause = problem.__cause__
            if isinstance(cause, Unanswered):
                raise cause from None
            last = asked.account.last
            wrong = f"; the last complaint: {'; '.join(last.checks)}" if last and last.checks else ""
            raise Unanswered(f"{problem}{wrong}") from None


def _handed_in(model: Model, said: ModelSettings) -> ToolOutput[Answer] | NativeOutput[Answer]:
    """How it is asked for an answer: as structured output where its maker takes that beside functions to look with."""
    native = (
        bool(model.profile.get("google_supports_tool_combination")) if said.output is None else said.output == NATIVE
    )
    what = "Hand in the diagnosis and the plan, or none."
    return (NativeOutput if native else ToolOutput)(Answer, name="hand_in", description=what)


async def checked(context: RunContext[Asked], answer: Answer) -> Answer:
    """Sent back with everything that is wrong with it."""
    found = [context.deps.account.scanner.text(one) for one in context.deps.complain(answer)]
    if not found:
        return answer
    await context.deps.account.wrong(found)
    raise ModelRetry("Your answer was not accepted:\n" + "\n".join(f"- {one}" for one in found))


async def look(context: RunContext[Asked], tool: str, resource: str, arguments: list[Argument] | None = None) -> str:
    """Look further. It only reads.

    Args:
        tool: One of the look-ups listed, or `readings` (arguments: metric, minutes), `logs` (text, minutes), `runbook`
            (name).
        resource: What to look at, as it is listed.
        arguments: The look-up's arguments by name.
    """
    said = {one.name: one.value for one in arguments or ()}
    key = json.dumps([tool, resource, said], sort_keys=True)
    context.deps.called[key] = context.deps.called.get(key, 0) + 1
    if context.deps.called[key] > TWICE:
        raise Unanswered(f"it called {tool} on {resource} with the same arguments again and again")
    if context.deps.called[key] == TWICE:
        return "You have asked exactly this before; its answer stands above. Ask something else, or hand in."
    return await context.deps.look(tool, resource, said)
