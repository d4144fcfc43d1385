"""Every request to a model passes here: permitted by the budget, bounded in time, without known secrets, recorded."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
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
        request = await self._begin(messages)

        async def ask() -> ModelResponse:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

        try:
            response = await _bounded(ask, self._seconds)
        except Unanswered as problem:
            await request.failed(str(problem))
            raise
        await request.answered(response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: RequestSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """`seconds` bound the time until it begins, and each silence after that. One that is broken off by whoever
        asked is kept as failed, for it may have to be paid for."""
        request = await self._begin(messages)
        try:
            async with AsyncExitStack() as stack:
                wanted = self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)

                async def begin() -> StreamedResponse:
                    return await stack.enter_async_context(wanted)

                stream = await _bounded(begin, self._seconds)
                yield stream
                response = stream.get()
        except (asyncio.CancelledError, GeneratorExit):  # the latter where it was left between two pieces
            await request.failed("broken off by whoever asked")
            raise
        except Unanswered as problem:
            await request.failed(str(problem))
            raise
        except Exception as problem:  # of the providers' libraries, while the answer came
            found = _unanswered(problem)
            await request.failed(str(found))
            raise found from None
        await request.answered(response)

    async def _begin(self, messages: list[ModelMessage]) -> "_Request":
        """Raises Spent, and Unanswered where it may not be sent."""
        sent = [part for message in messages[self._told :] for part in parts(message)]
        self._told = len(messages) + 1  # what comes back is kept as the answer
        whole = json.dumps([parts(message) for message in messages], ensure_ascii=False, default=str)
        await self._account.permitted(whole)
        return _Request(self._account, sent)


class _Request:
    """One of them, and how long it has taken."""

    def __init__(self, account: Account, sent: Sequence[Mapping[str, Any]]) -> None:
        self._account = account
        self._sent = sent
        self._began = now()
        self._clock = asyncio.get_running_loop().time
        self._start = self._clock()

    async def answered(self, response: ModelResponse) -> None:
        usage, took = response.usage, self._clock() - self._start
        await self._account.answered(
            self._began, took, self._sent, parts(response), usage.input_tokens, usage.output_tokens
        )

    async def failed(self, why: str) -> None:
        await self._account.failed(self._began, self._clock() - self._start, self._sent, why)


T = TypeVar("T")


async def _bounded(ask: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Raises Unanswered, whatever went wrong on the way."""
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except TimeoutError:
        raise Unanswered(f"no answer within {seconds:g} s", of_provider=True) from None
    except Exception as problem:  # of the providers' libraries, whose kinds are many
        raise _unanswered(problem) from None


def _unanswered(problem: Exception) -> Unanswered:
    match problem:
        case ModelHTTPError(status_code=status, body={"error": {"message": str(said)}} | {"message": str(said)}):
            return Unanswered(f"it answered {status}: {said[:FAR]}", of_provider=True)
        case _:
            return Unanswered(f"{type(problem).__name__}: {str(problem)[:FAR]}", of_provider=True)


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
