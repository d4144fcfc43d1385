"""Every request to a model passes here: permitted by the budget, bounded in time, without known secrets, recorded."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings as RequestSettings

from watchkeeper.decide.model.account import Account, Unanswered
from watchkeeper.domain import now

FAR = 2000
"""Characters of a provider's complaint that are kept."""


class Recorded(WrapperModel):
    """A model that keeps an account of itself."""

    def __init__(self, wrapped: Model, account: Account, seconds: float) -> None:
        super().__init__(wrapped)
        self._account = account
        self._seconds = seconds
        self._told = 0

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: RequestSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        sent = [part for message in messages[self._told :] for part in parts(message)]
        self._told = len(messages) + 1  # what comes back is kept as the answer
        whole = json.dumps([parts(message) for message in messages], ensure_ascii=False, default=str)
        await self._account.permitted(whole)
        began, clock = now(), asyncio.get_running_loop().time
        start = clock()

        async def ask() -> ModelResponse:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

        try:
            response = await _bounded(ask, self._seconds)
        except Unanswered as problem:
            await self._account.failed(began, clock() - start, sent, str(problem))
            raise
        usage = response.usage
        await self._account.answered(
            began, clock() - start, sent, parts(response), usage.input_tokens, usage.output_tokens
        )
        return response


async def _bounded(ask: Callable[[], Awaitable[ModelResponse]], seconds: float) -> ModelResponse:
    """Raises Unanswered, whatever went wrong on the way."""
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except TimeoutError:
        raise Unanswered(f"no answer within {seconds:g} s", of_provider=True) from None
    except Exception as problem:  # of the providers' libraries, whose kinds are many
        raise Unanswered(f"{type(problem).__name__}: {str(problem)[:FAR]}", of_provider=True) from None


def parts(message: ModelMessage) -> list[dict[str, Any]]:
    """What a message holds, in few words: who says it, and what."""
    made: list[dict[str, Any]] = []
    if isinstance(message, ModelRequest) and message.instructions:
        made.append({"role": "instructions", "text": message.instructions})
    for part in message.parts:
        kind = part.part_kind
        one: dict[str, Any] = {"role": kind}
        if name := getattr(part, "tool_name", None):
            one["tool"] = name
        content = getattr(part, "args", None) if kind == "tool-call" else getattr(part, "content", None)
        one["text"] = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)
        made.append(one)
    return made
