"""`/api/mcp/tools`: what it can do."""

from fastapi import APIRouter

from watchkeeper.decide import example
from watchkeeper.domain import Breaker, Effect, now
from watchkeeper.server import elsewhere
from watchkeeper.server.incidents import id_of, submitted
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Submitter, Viewer
from watchkeeper.server.views import (
    CallTool,
    Page,
    Submitted,
    ToolView,
    breaker_view,
)

router = APIRouter(prefix="/api", tags=["tools"])


async def _tool(runtime: Runtime, name: str, open_: list[Breaker] | None = None) -> ToolView:
    tool = runtime.decide.tool(name)
    found = await runtime.decide.history.breakers((name,)) if open_ is None else open_
    return ToolView(
        name=tool.name,
        title=tool.title,
        kind=runtime.registry.kind_of_tool[name],
        description=tool.description,
        effect=tool.effect,
        has_undo=tool.undo_run is not None,
        timeout=tool.timeout,
        settle=tool.settle,
        cost=tool.cost,
        by_hand=example(tool),
        input_schema=tool.arguments.model_json_schema(),
        breakers=[breaker_view(one, now()) for one in found if one.tool == name],
    )


@router.get("/mcp/tools")
async def list_tools(runtime: Here, _: Viewer) -> Page[ToolView]:
    """Every tool of every connector."""
    found = await runtime.decide.history.breakers()
    return Page(items=[await _tool(runtime, name, found) for name in sorted(runtime.decide.tools)])


@router.get("/mcp/tools/{name}")
async def show_tool(name: str, runtime: Here, _: Viewer) -> ToolView:
    """One tool with the schema of its arguments."""
    return await _tool(runtime, name)


@router.post("/mcp/tools/{name}")
async def call_tool(name: str, body: CallTool, runtime: Here, who: Submitter) -> Submitted:
    """Call a tool on a resource. Look-ups answer at once; a change goes through policy and becomes a fix."""
    if runtime.store.shared and not runtime.sharing.held(key := await id_of(runtime, body.resource)):
        return await elsewhere.ask(runtime, key, name, body.model_dump(mode="json"), who)
    resource = runtime.watch.resource(body.resource)
    tool = runtime.decide.tool(name)
    looks = tool.effect is Effect.READ and tool.effect_now is None
    at = runtime.watch.situation((resource.id,)) if looks else await runtime.watch.look((resource.id,))
    plan = runtime.decide.plan_for(name, resource, body.arguments, who, at)
    result = submitted(await runtime.loop.submit(plan, who))
    return result.model_copy(update={"output": runtime.store.masker.value(result.output)})
