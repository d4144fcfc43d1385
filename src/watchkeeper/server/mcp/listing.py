"""Tools as the protocol lists them: title, when to use them, schemas, and hints from their worst effect."""

from collections.abc import Iterable, Mapping
from typing import Any, cast, get_type_hints

import structlog
from mcp import types
from pydantic import PydanticSchemaGenerationError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from watchkeeper.connectors import Registry
from watchkeeper.domain import Effect, Runbook, Tool

log = structlog.get_logger(__name__)
MEANS = {
    Effect.READ: "It only looks.",
    Effect.REVERSIBLE: "It changes something.",
    Effect.DISRUPTIVE: "It interrupts what uses it; no data is lost.",
    Effect.DESTRUCTIVE: "It can lose data.",
}
_TEXT = {"type": "string"}
_CHANGE: dict[str, Any] = dict.fromkeys(("fix_id", "approval_id", "expires_at", "reason"), _TEXT)
_ALWAYS: dict[str, Any] = {"next": _TEXT, "left_out": {"type": "array", "items": _TEXT}}


def worst(tool: Tool[Any]) -> Effect:
    """The harshest a call can be: an effect that depends on the state can be any."""
    return Effect.DESTRUCTIVE if tool.effect_now is not None else tool.effect


def annotations(effect: Effect, title: str) -> types.ToolAnnotations:
    """What is not additive counts as destructive, as the protocol means it; a reversible change twice is as once."""
    return types.ToolAnnotations(
        title=title,
        read_only_hint=effect is Effect.READ,
        destructive_hint=effect.rank >= Effect.DISRUPTIVE.rank,
        idempotent_hint=effect.rank <= Effect.REVERSIBLE.rank,
        open_world_hint=False,
    )


def of_connectors(registry: Registry, tools: Mapping[str, Tool[Any]]) -> list[types.Tool]:
    """Every tool of every connector, under its own name, with the resource it is to work on as an argument."""
    return [_listed(tool, registry.kind_of_tool[name], registry.runbooks) for name, tool in sorted(tools.items())]


def _listed(tool: Tool[Any], kind: str, runbooks: Iterable[Runbook]) -> types.Tool:
    title = _title(tool)
    return types.Tool(
        name=tool.name,
        title=title,
        description=_description(tool, kind, runbooks),
        input_schema=arguments(tool, kind),
        output_schema=_output(tool),
        annotations=annotations(worst(tool), title),
    )


def _title(tool: Tool[Any]) -> str:
    return tool.title[:1].upper() + tool.title[1:]


def _description(tool: Tool[Any], kind: str, runbooks: Iterable[Runbook]) -> str:
    """What it does, and when: the faults whose runbooks use it."""
    effect = worst(tool)
    said = [tool.description, f"For a {kind}. {MEANS[effect]}"]
    if effect is not Effect.READ:
        helps = [
            book.cause.rstrip(".") for book in runbooks if any(s.tool == tool.name for r in book.ladder for s in r)
        ]
        said += [f"Use it where: {'; '.join(dict.fromkeys(helps))}."] if helps else []
        said += ["It is undone where it does not help."] if tool.undo_run is not None else ["It has no undo."]
    return "\n".join(said)


def arguments(tool: Tool[Any], kind: str) -> dict[str, Any]:
    """The schema of its arguments with `resource` before them."""
    schema = _plain(tool.arguments.model_json_schema())
    own = cast("dict[str, Any]", schema.get("properties", {}))
    resource = _TEXT | {"description": f"slug or id of the {kind}, as get_status gives it"}
    schema["properties"] = {"resource": resource} | {n: s for n, s in own.items() if n != "resource"}
    schema["required"] = ["resource", *(name for name in schema.get("required", ()) if name != "resource")]
    return schema


def _plain(schema: Any) -> Any:
    """Without the titles that only repeat the names."""
    if isinstance(schema, list):
        return [_plain(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: {name: _plain(one) for name, one in part.items()} if key in ("properties", "$defs") else _plain(part)
        for key, part in cast("Mapping[str, Any]", schema).items()
        if key != "title"
    }


def _output(tool: Tool[Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {"status": {"enum": ["done", "running", "awaiting_approval"]}}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": ["status"]}
    returned = _returned(tool)
    if definitions := returned.pop("$defs", None):
        schema["$defs"] = definitions
    if tool.effect is Effect.READ:
        properties["output"] = returned
    if worst(tool) is not Effect.READ:
        properties |= _CHANGE
    properties |= _ALWAYS
    return schema


def _returned(tool: Tool[Any]) -> dict[str, Any]:
    """The schema of what it gives; anything where that cannot be told."""
    try:
        hint = get_type_hints(tool.run).get("return", Any)
        return _plain(TypeAdapter[Any](hint).json_schema(mode="serialization"))
    except (NameError, PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError):
        log.debug("what a tool gives has no schema", tool=tool.name)
        return {}


def of_ours(tool: Tool[Any], answer: Mapping[str, Any]) -> types.Tool:
    """One of our own, of which `answer` is what it gives."""
    title = _title(tool)
    return types.Tool(
        name=tool.name,
        title=title,
        description=tool.description,
        input_schema=_plain(tool.arguments.model_json_schema()),
        output_schema=_plain(answer),
        annotations=annotations(tool.effect, title),
    )
