"""What every call of an agent has in its hands, and the form of every answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mcp.types import CallToolResult, TextContent

from watchkeeper.domain import Principal, WatchkeeperError
from watchkeeper.server.mcp.bounded import sound
from watchkeeper.server.runtime import Runtime
from watchkeeper.store import Masker
from watchkeeper.store.masking import NAMES

AGENT = Principal("agent", "mcp", "agent")
"""Whoever comes by MCP, with whatever token: policy can name it, and it never approves."""

Progress = Callable[[float, float | None, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `progress` tells the client how far it is, of how much, and what goes on."""

    runtime: Runtime
    progress: Progress
    who: Principal = AGENT


def masked(masker: Masker, value: Any) -> Any:
    """No secret leaves: every text is masked but what names something of ours, as in the store.

    What a tool gave, or was called with, has no such names: all of it is masked.
    """
    if isinstance(value, Mapping):
        return {
            name: item
            if name in NAMES and _names(item)
            else masker.value(item)
            if name in _FREE
            else masked(masker, item)
            for name, item in cast("Mapping[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [masked(masker, item) for item in cast("list[Any]", value)]
    return masker.value(value)


_FREE = ("output", "arguments", "before", "after", "text", "page")


def _names(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(item, str) for item in cast("list[Any]", value))
    )


def answered(call: Call, content: Mapping[str, Any]) -> CallToolResult:
    """An answer: structured, and the same as text for clients that know only that."""
    shown = masked(call.runtime.store.masker, content)
    return CallToolResult(content=[TextContent(type="text", text=_json(shown))], structured_content=shown)


def refused(call: Call, problem: WatchkeeperError) -> CallToolResult:
    """Why it was not done, and what to do instead: for the model to read, so not an error of the protocol. As text
    alone: clients hold what is structured against the schema of what the tool gives, and would show that it differs
    instead of why."""
    said = {"status": "refused", "why": problem.what, "next": _for_an_agent(problem.next_step)}
    shown = call.runtime.store.masker.value({name: sound(text) for name, text in said.items() if text})
    return CallToolResult(content=[TextContent(type="text", text=_json(shown))], is_error=True)


def _for_an_agent(text: str) -> str:
    """What a person would type is not what an agent can do."""
    if text.startswith("Its arguments: "):
        return "tools/list has the schema of its arguments."
    for typed, instead in _INSTEAD.items():
        text = text.replace(typed, instead)
    return "" if "`watchkeeper" in text and "person" not in text else text


_INSTEAD = {
    "`watchkeeper status` lists what is.": "get_status lists what is.",
    "`watchkeeper incidents` lists what there is.": "list_incidents lists what there is.",
    "`watchkeeper tools` lists them.": "tools/list lists them.",
    "Go on with `watchkeeper resume`.": "A person goes on with `watchkeeper resume`.",
}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
