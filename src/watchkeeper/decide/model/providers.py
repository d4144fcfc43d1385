"""The models themselves, over the wire. Imported only when one is asked: it loads pydantic-ai and what it needs."""

from contextlib import AsyncExitStack
from functools import cache
from ssl import SSLContext

import httpx2
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions
from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from watchkeeper.settings import secret
from watchkeeper.settings.llm import ModelSettings
from watchkeeper.store import Masker

CONNECT_SECONDS = 4.0


async def opened(said: ModelSettings, seconds: float, masker: Masker, stack: AsyncExitStack) -> Model:
    """One model with a connection of its own, closed with the stack. Retries are ours, not its library's; redirects
    are not followed. Raises ConfigurationError where its key cannot be read."""
    key = secret(said.reference) if said.reference else "none"
    if said.reference:
        masker.learn(key)
    timeout = httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    client = httpx2.AsyncClient(timeout=timeout, follow_redirects=False, verify=trusted())
    http = await stack.enter_async_context(client)
    if said.protocol == "google":
        options = HttpOptions(
            base_url=said.url,
            httpx_async_client=http,
            client_args={"verify": trusted()},
            async_client_args={"verify": trusted(), "ssl": trusted()},  # the latter is read anew for each client else
            timeout=int(seconds * 1000),
            retry_options=HttpRetryOptions(attempts=1),
        )
        provider = GoogleProvider(client=Client(api_key=key, vertexai=False, http_options=options))
        return GoogleModel(said.model, provider=provider)
    openai = AsyncOpenAI(api_key=key, base_url=said.url, max_retries=0, http_client=http)
    return OpenAIChatModel(said.model, provider=OpenAIProvider(openai_client=openai))


@cache
def trusted() -> SSLContext:
    """Read once: it takes 30 ms."""
    return httpx2.create_ssl_context()
