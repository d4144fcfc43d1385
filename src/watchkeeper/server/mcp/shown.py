"""What a client can read and pin into a conversation: health, incidents, runbooks, the map."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import types
from pydantic import BaseModel

from watchkeeper.domain import NotFound
from watchkeeper.server.incidents import report
from watchkeeper.server.map import dependency_map
from watchkeeper.server.mcp.bounded import bounded
from watchkeeper.server.mcp.call import Call, masked
from watchkeeper.server.mcp.evidence import search_runbooks
from watchkeeper.server.mcp.incidents import get_status, list_incidents
from watchkeeper.server.runbooks import RunbookView, view_of

SCHEME = "watchkeeper://"
LONGEST = 40_000
"""Characters of one page."""
_JSON = "application/json"
_MARKDOWN = "text/markdown"


async def _health(call: Call) -> BaseModel:
    return await get_status.run(call, limit=100)


async def _incidents(call: Call) -> BaseModel:
    return await list_incidents.run(call, status="all", limit=20)


async def _runbooks(call: Call) -> BaseModel:
    return await search_runbooks.run(call, limit=1000)


async def _map(call: Call) -> BaseModel:
    return await dependency_map(call.runtime, call.who)


PAGES: dict[str, tuple[str, str, Callable[[Call], Awaitable[BaseModel]]]] = {
    "health": ("Health", "Everything watched, worst first.", _health),
    "incidents": ("Incidents", "The last incidents, newest first.", _incidents),
    "runbooks": ("Runbooks", "What Watchkeeper knows to do.", _runbooks),
    "map": ("Map", "What needs what, and how that is known.", _map),
}


def listed() -> list[types.Resource]:
    return [
        types.Resource(uri=SCHEME + name, name=name, title=title, description=said, mime_type=_JSON)
        for name, (title, said, _) in PAGES.items()
    ]


def templates() -> list[types.ResourceTemplate]:
    return [
        types.ResourceTemplate(
            uri_template=f"{SCHEME}incidents/{{id}}",
            name="incident",
            title="Report of an incident",
            description="What, why, what changed lately, what was done, what proves it, the time line.",
            mime_type=_MARKDOWN,
        ),
        types.ResourceTemplate(
            uri_template=f"{SCHEME}runbooks/{{name}}",
            name="runbook",
            title="A runbook",
            description="When it applies, its ladder, and the page for people.",
            mime_type=_MARKDOWN,
        ),
    ]


async def read(call: Call, uri: str) -> types.ReadResourceResult:
    """Raises NotFound."""
    folder, _, name = uri.removeprefix(SCHEME).partition("/")
    if uri.startswith(SCHEME) and name and folder == "incidents":
        text, kind = await incident_page(call, name), _MARKDOWN
    elif uri.startswith(SCHEME) and name and folder == "runbooks":
        text, kind = await runbook_page(call, name), _MARKDOWN
    elif uri.startswith(SCHEME) and not name and folder in PAGES:
        found = await PAGES[folder][2](call)
        text, kind = _json(call, found), _JSON
    else:
        raise NotFound(f"There is no resource {uri}.", f"There are: {', '.join(SCHEME + name for name in PAGES)}.")
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=kind, text=text)])


async def incident_page(call: Call, key: str) -> str:
    """Its report. Raises NotFound."""
    answer: Any = await report(key, call.runtime, call.who)
    return _short(call, answer.body.decode())


async def runbook_page(call: Call, name: str) -> str:
    """Of every technology that has one of that name. Raises NotFound."""
    found = [view_of(call.runtime, book) for book in call.runtime.registry.runbooks if book.name == name]
    if not found:
        raise NotFound(f"There is no runbook {name!r}.", "search_runbooks lists them.")
    return _short(call, "\n\n".join(_page(book) for book in found))


def _page(book: RunbookView) -> str:
    rungs = [
        f"{number}. " + "; ".join(f"`{step['tool']}` {json.dumps(step['with'], default=str)}" for step in rung)
        for number, rung in enumerate(book.ladder, 1)
    ]
    head = [
        f"# {book.name} (for a {book.kind})",
        f"When: `{book.when}`",
        f"Cause: {book.cause}",
        "Ladder, gentlest first:",
        *rungs,
        f"Healed when: `{book.healed}`" if book.healed else "Healed when its alert is over and the probe passes.",
    ]
    return "\n\n".join([*head, book.page])


def _short(call: Call, text: str) -> str:
    text = call.runtime.store.masker.text(text)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n\n({len(text) - LONGEST} of {len(text)} characters are left out here.)"


def _json(call: Call, found: BaseModel) -> str:
    shown, left_out = bounded(found.model_dump(mode="json", exclude_defaults=True), LONGEST)
    if left_out:
        shown["left_out"] = [*shown.get("left_out", []), *left_out]
    return json.dumps(masked(call.runtime.store.masker, shown), ensure_ascii=False, separators=(",", ":"))
