"""The server of the protocol: what it lists, and whom it hands each request to."""

from typing import Any

import structlog
from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import TypeAdapter

from watchkeeper import __version__
from watchkeeper.domain import NotFound, Tool, WatchkeeperError
from watchkeeper.server.mcp import calling, evidence, incidents, listing, plans, prompts, shown
from watchkeeper.server.mcp.bounded import bounded, sound
from watchkeeper.server.mcp.call import Call, answered, refused
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import LARGEST_BODY

log = structlog.get_logger(__name__)
Context = ServerRequestContext[Any, Any]
SESSIONS = 100
"""Clients of older versions of the protocol that may be connected at a time; newer ones have no session."""
IDLE = 1800.0
"""Seconds after which a session that nobody uses ends."""
MAY_LOOK = "Here you may only look: a call that changes something is refused."
MAY_ASK = (
    "You may ask for changes: policy decides on each. Some wait for a person (awaiting_approval): tell the user, who "
    "decides; you cannot approve. fix_status tells what became of it."
)


class Service:
    """Every request, answered out of the running system."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        seat = plans.IN_THE_SEAT if runtime.settings.planner == "agents" else ()
        self._ours = {tool.name: tool for tool in (*incidents.TOOLS, *evidence.TOOLS, *plans.TOOLS, *seat)}
        tools = [listing.of_ours(tool, _gives(tool)) for tool in self._ours.values()]
        connectors = listing.of_connectors(runtime.registry, runtime.decide.tools)
        self._listed = [*tools, *(tool for tool in connectors if tool.name not in self._ours)]
        self._schemas = {tool.name: tool.input_schema for tool in self._listed}

    def server(self) -> Server[Any]:
        may = MAY_ASK if self._runtime.settings.mcp.writes else MAY_LOOK
        return Server(
            "watchkeeper",
            title="Watchkeeper",
            version=__version__,
            instructions=(prompts.TEXTS / "instructions.md").read_text().format(may=may),
            get_tool_input_schema=self._schemas.get,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )

    async def list_tools(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self._listed)

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """What is refused is an answer that the model reads; a tool that does not exist is an error of the protocol."""
        call = self._call(context)
        given = dict(params.arguments or {})
        if params.name in self._schemas:
            self._runtime.metrics.agent_calls.labels(params.name).inc()
        try:
            if ours := self._ours.get(params.name):
                return await self._answer(call, ours, given)
            if params.name not in self._schemas:
                self._runtime.decide.tool(params.name)  # says which is meant
            return await calling.call(call, params.name, given)
        except WatchkeeperError as problem:
            if params.name not in self._schemas:
                raise _told(WatchkeeperError(problem.what)) from None
            return refused(call, problem)
        except Exception as problem:
            log.exception("a call over MCP failed", tool=params.name)
            return refused(call, WatchkeeperError(f"A bug of ours: {type(problem).__name__}.", "Its log tells more."))

    async def _answer(self, call: Call, tool: Tool[Any], given: dict[str, Any]) -> types.CallToolResult:
        found = await tool.run(call, **tool.parse(given))
        content, cuts = bounded(found.model_dump(mode="json", exclude_defaults=True))
        left_out = [*content.get("left_out", []), *cuts]
        content.pop("left_out", None)
        return answered(call, content | ({"left_out": left_out} if left_out else {}))

    async def list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=shown.listed())

    async def list_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=shown.templates())

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        try:
            return await shown.read(self._call(context), str(params.uri))
        except WatchkeeperError as problem:
            raise _told(problem) from None

    async def list_prompts(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[prompt.listed for prompt in prompts.PROMPTS.values()])

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        try:
            prompt = prompts.PROMPTS.get(params.name)
            if prompt is None:
                raise NotFound(f"There is no prompt {params.name!r}.", f"There are: {', '.join(prompts.PROMPTS)}.")
            return await prompts.made(self._call(context), prompt, params.arguments or {})
        except WatchkeeperError as problem:
            raise _told(problem) from None

    def _call(self, context: Context) -> Call:
        async def progress(done: float, of: float | None, text: str) -> None:
            await context.session.report_progress(done, of, text)

        return Call(self._runtime, progress)


def _gives(tool: Tool[Any]) -> dict[str, Any]:
    return TypeAdapter[Any](tool.run.__annotations__["return"]).json_schema(mode="serialization")


def _told(problem: WatchkeeperError) -> MCPError:
    return MCPError(INVALID_PARAMS if problem.status < 500 else INTERNAL_ERROR, sound(str(problem).replace("\n", " ")))


def sessions(runtime: Runtime) -> StreamableHTTPSessionManager:
    """Over streamable HTTP. Host and Origin were checked at the door of the whole server."""
    return StreamableHTTPSessionManager(
        Service(runtime).server(),
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=LARGEST_BODY,
        max_sessions=SESSIONS,
        session_idle_timeout=IDLE,
    )
