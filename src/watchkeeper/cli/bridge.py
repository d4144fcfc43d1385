"""From stdio to the running server's `/mcp`: every request is handed on, with progress and cancellation."""

from ssl import SSLContext
from typing import Any

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp_types import INTERNAL_ERROR

from watchkeeper import __version__
from watchkeeper.domain.errors import WatchkeeperError

Context = ServerRequestContext[Any, Any]
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 60.0
"""A long call shows a sign of life every 15 s."""


async def serve(url: str, token: str, trusted: SSLContext | None = None) -> None:
    """Until standard input ends. Raises WatchkeeperError where the server does not speak MCP or takes no token."""
    url = f"{url}/mcp"
    timeout = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    headers = {"Authorization": f"Bearer {token}"}
    verify = trusted or True
    async with httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False, verify=verify) as http:
        await _answers(http, url)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, transport=Way(verify)) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as client,
    ):
        server = Bridge(client).server()
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


async def _answers(http: httpx2.AsyncClient, url: str) -> None:
    """A body that is none: refused by the protocol where everything before it is right."""
    answer = await http.post(url, json={}, headers={"Accept": "application/json, text/event-stream"})
    if said := await _problem(answer):
        raise WatchkeeperError(*said)


async def _problem(answer: httpx2.Response) -> tuple[str, str] | None:
    """What happened and what to do next, where the server answers with a problem of its own."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    await answer.aread()
    said = answer.json()
    return said["detail"], said["next"]


class Way(httpx2.AsyncHTTPTransport):
    """The way to the server. Where it does not answer, that is an answer: the client's connection outlives it, and goes
    on once it is there again."""

    def __init__(self, verify: SSLContext | bool) -> None:
        super().__init__(trust_env=False, verify=verify)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            answer = await super().handle_async_request(request)
        except httpx2.TransportError as problem:
            where = f"{request.url.host}:{request.url.port}"
            text = f"No server answers at {where} ({type(problem).__name__}). A person starts it with `watchkeeper up`."
            return _error(text)
        said = await _problem(answer)
        if said is None:
            return answer
        await answer.aclose()
        return _error(" ".join(said))


def _error(text: str) -> httpx2.Response:
    error = {"code": INTERNAL_ERROR, "message": text}
    return httpx2.Response(503, json={"jsonrpc": "2.0", "id": None, "error": error})


class Bridge:
    """Hands on what a client asks, and hands back what is answered."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def server(self) -> Server[Any]:
        return Server(
            "watchkeeper",
            title="Watchkeeper",
            version=__version__,
            instructions=self._client.instructions,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )

    async def list_tools(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return await self._client.list_tools()

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        async def told(progress: float, total: float | None, message: str | None) -> None:
            await context.session.report_progress(progress, total, message)

        return await self._client.call_tool(params.name, params.arguments or {}, progress_callback=told)

    async def list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return await self._client.list_resources()

    async def list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return await self._client.list_resource_templates()

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await self._client.read_resource(str(params.uri))

    async def list_prompts(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        return await self._client.list_prompts()

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return await self._client.get_prompt(params.name, params.arguments)
