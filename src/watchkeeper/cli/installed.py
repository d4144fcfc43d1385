"""What is installed and configured here, in the form the API gives it, so that it can be read without a server."""

import difflib
import sys
from typing import TYPE_CHECKING, Any

from watchkeeper.cli.client import Unreachable
from watchkeeper.cli.options import Options
from watchkeeper.domain.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper.connectors import Registry
    from watchkeeper.domain import Rule, Runbook, Tool
    from watchkeeper.settings import Settings

CONNECTORS = "/api/connectors"
PATHS = {"tools": "/api/mcp/tools", "runbooks": "/api/runbooks", "rules": "/api/rules", "policy": "/api/policy"}


def ask(options: Options, what: str) -> dict[str, Any]:
    """The running server's, which are those in force; where none runs what is installed and configured here."""
    try:
        with options.client() as client:
            return client.get(CONNECTORS if what == "connectors" else PATHS[what])
    except Unreachable:
        if options.url:
            raise
    print("No server runs: this is what is installed and configured here.", file=sys.stderr)
    return here(options.settings(), what)


def here(settings: "Settings", what: str) -> dict[str, Any]:
    """The same without a server."""
    from watchkeeper.connectors import Registry

    if what == "policy":
        return _policy(settings)
    registry = Registry.installed()
    if what == "connectors":
        return {"items": [*_connectors(registry)], "next": None}
    registry.measure(settings.resources)
    if settings.runbooks is not None:
        registry.extend(settings.runbooks)
    registry.leave_out(settings.without_runbooks)
    for name, problem in registry.broken.items():
        print(f"watchkeeper: the connector `{name}` cannot be used: {problem}", file=sys.stderr)
    return {"items": _items(registry, settings, what), "next": None}


def _connectors(registry: "Registry") -> "Iterator[dict[str, Any]]":
    """Nothing is watched, and none of them has misbehaved."""
    empty: dict[str, Any] = {"resources": None, "tools": 0, "rules": 0, "since": None, "offences": {}}
    empty |= {"last_offence": None, "problem": None}
    for one in registry:
        counts = {"tools": len(one.tools), "rules": len(one.rules)}
        yield empty | counts | {"name": one.kind, "standing": "good"}
    for name, problem in registry.broken.items():
        yield empty | {"name": name, "standing": "broken", "problem": problem}


def _items(registry: "Registry", settings: "Settings", what: str) -> list[dict[str, Any]]:
    if what == "tools":
        return [_tool(tool, registry.kind_of_tool[name]) for name, tool in sorted(registry.tools.items())]
    if what == "runbooks":
        return [_runbook(runbook, registry.origin(runbook)) for runbook in registry.runbooks]
    from watchkeeper.watch.watch import overridden

    return [_rule(rule) for rule in overridden(registry.rules, settings)]


def pick(page: dict[str, Any], field: str, wanted: str, word: str) -> dict[str, Any]:
    """The item of that name. Raises NotFound, which names the nearest."""
    items: list[dict[str, Any]] = page["items"]
    for item in items:
        if item[field] == wanted:
            return item
    near = difflib.get_close_matches(wanted, [str(item[field]) for item in items], n=1)
    raise NotFound(
        f"There is no {word} {wanted!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
        f"`watchkeeper {word}s` lists them.",
    )


def _tool(tool: "Tool[Any]", kind: str) -> dict[str, Any]:
    from watchkeeper.decide.shell import example

    return {
        "name": tool.name,
        "title": tool.title,
        "kind": kind,
        "description": tool.description,
        "effect": tool.effect.value,
        "has_undo": tool.undo_run is not None,
        "timeout": tool.timeout,
        "settle": tool.settle,
        "cost": tool.cost,
        "by_hand": example(tool),
        "input_schema": tool.arguments.model_json_schema(),
        "breakers": [],
    }


def _runbook(runbook: "Runbook", origin: str) -> dict[str, Any]:
    from watchkeeper.decide.handbook import digest

    return {
        "name": runbook.name,
        "kind": runbook.kind,
        "when": runbook.when.source,
        "cause": runbook.cause,
        "ladder": [
            [
                {"tool": s.tool, "with": dict(s.arguments) | {n: f"= {e.source}" for n, e in s.expressions.items()}}
                for s in rung
            ]
            for rung in runbook.ladder
        ],
        "healed": runbook.healed.source if runbook.healed else None,
        "confirm": runbook.confirm,
        "page": runbook.page,
        "origin": origin,
        "text": runbook.text,
        "digest": digest(runbook.text),
        "problem": None,
    }


def _rule(rule: "Rule") -> dict[str, Any]:
    return {
        "rule": rule.id,
        "kind": rule.kind,
        "when": rule.when.source,
        "clear": rule.clear.source if rule.clear else None,
        "for_seconds": rule.for_seconds,
        "severity": rule.severity,
        "health": rule.health.value,
        "why": rule.why,
        "source": rule.source,
        "runbook": rule.runbook,
        "enabled": True,
        "changes": [],
    }


def _policy(settings: "Settings") -> dict[str, Any]:
    from watchkeeper.decide.policy import Policy

    policy = Policy(settings.policy, settings.mode)
    return {
        "mode": policy.mode,
        "table": {environment: dict(row) for environment, row in policy.table.items()},
        "changes_per_hour": settings.policy.changes_per_hour,
        "cooldown": settings.policy.cooldown,
        "concurrent_fixes": settings.policy.concurrent_fixes,
        "concurrent_fixes_nearby": settings.policy.concurrent_fixes_nearby,
        "breaker_failures": settings.policy.breaker_failures,
        "two_people": [effect.value for effect in settings.policy.two_people],
        "cedar": policy.cedar,
        "configured": {environment: dict(row) for environment, row in policy.table.items()},
        "changed": None,
    }
