"""What an agent has asked for and nobody has decided on: the same is asked for once, and not without end."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from watchkeeper.domain import Approval, Conflict, Step, now
from watchkeeper.server.mcp.call import Call

MOST = 20
"""Requests of agents that may wait for people at a time: somebody has to read them."""


async def asked_before(call: Call, steps: Sequence[Step]) -> Approval | None:
    """The approval that waits already for just these steps. Raises Conflict where too many wait."""
    waiting = await call.runtime.store.select(Approval, status="waiting")
    mine = [one for one in waiting if one.requested_by.id == call.who.id and one.expires_at > now()]
    wanted = call.runtime.store.masker.value(_essence(steps))
    for approval in mine:
        if _essence(approval.plan.steps) == wanted:
            return approval
    if len(mine) >= MOST:
        raise Conflict(
            f"{len(mine)} changes that agents asked for wait for a person already; nothing was asked for.",
            "Tell the user that they wait: a person decides with `watchkeeper approvals`.",
        )
    return None


def _essence(steps: Sequence[Step]) -> list[Mapping[str, Any]]:
    return [
        {"tool": step.tool, "resource": step.resource, "arguments": to_jsonable_python(dict(step.arguments))}
        for step in steps
    ]
