"""A connector's tool called by an agent: the same entrance as over HTTP and on the command line."""

from collections.abc import Mapping
from typing import Any

from mcp.types import CallToolResult

from watchkeeper.domain import Effect, Forbidden, Step, WatchkeeperError
from watchkeeper.loop import Submission
from watchkeeper.server.incidents import id_of
from watchkeeper.server.incidents import submitted as answer_of
from watchkeeper.server.mcp.asking import asked_before
from watchkeeper.server.mcp.bounded import bounded
from watchkeeper.server.mcp.call import Call, answered
from watchkeeper.server.mcp.listing import worst
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.tools import call_tool
from watchkeeper.server.views import CallTool, Submitted


def writing(runtime: Runtime, what: str) -> None:
    """Raises Forbidden where nothing may be changed from here."""
    if not runtime.settings.mcp.writes:
        raise Forbidden(
            f"{what} changes something, and over MCP one may only look here.",
            "A person can allow it: `mcp: {writes: true}` in watchkeeper.yaml. Policy decides on each call even then.",
        )


async def call(of: Call, name: str, given: Mapping[str, Any]) -> CallToolResult:
    """Call it. Raises WatchkeeperError where it is refused."""
    runtime = of.runtime
    tool = runtime.decide.tool(name)
    left = dict(given)
    resource = left.pop("resource", None)
    if not isinstance(resource, str) or not resource:
        raise WatchkeeperError(f"{name} needs `resource`: what it is to work on.", "get_status lists what there is.")
    if worst(tool) is not Effect.READ:
        writing(runtime, name)
        step = Step(name, await id_of(runtime, resource), tool.parse(left))
        if waits := await asked_before(of, (step,)):
            return answered(of, submitted(answer_of(Submission(waits.decision, approval=waits))))
    done = await call_tool(name, CallTool(resource=resource, arguments=left), runtime, of.who)
    return answered(of, submitted(done))


def submitted(done: Submitted) -> dict[str, Any]:
    """What became of it, for an agent."""
    said: dict[str, Any] = {"status": done.status}
    if done.status == "done":
        output, left_out = bounded(done.output)
        if output is not None or done.output is None:
            said["output"] = output
        if left_out:
            said["left_out"] = left_out
        return said
    said["fix_id"] = done.fix_id
    if done.status == "awaiting_approval":
        said["approval_id"] = done.approval_id
        said["expires_at"] = done.expires_at.isoformat() if done.expires_at else None
        said["next"] = f"A person decides: `watchkeeper approve {done.approval_id}`. Ask fix_status what became of it."
    else:
        said["next"] = "Ask fix_status what became of it; give it wait_seconds."
    said["reason"] = done.decision.reason
    return said
