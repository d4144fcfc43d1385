"""What the API says of itself: complete enough for a typed client, in names that stay."""

from typing import Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute

from watchkeeper.server.problems import REFERENCE, Problem, described

ABOUT = """Watches the services under production machine learning and heals them. Errors are problems (RFC 9457).
Looking from the server's machine needs no token; everything else needs one. Besides what is described here there are a
WebSocket at `/api/live` and the Model Context Protocol at `/mcp`."""
PROBLEMS = {
    400: "The request cannot be understood",
    401: "No token where one is needed, or one that holds no more",
    403: "Policy, a role, or the Host or Origin header does not allow it",
    404: "Nothing has that name",
    408: "The request took too long to come",
    409: "The state of the thing does not allow it (any more)",
    413: "The request is too large",
    422: "The request is not valid",
    429: "Too often; `Retry-After` says in how many seconds to come again",
    503: "The store cannot be reached now",
}
RESPONSES: dict[int | str, dict[str, Any]] = {status: described(said) for status, said in PROBLEMS.items()}
MEDIA = "text/event-stream"
EVENTS: dict[str, Any] = {
    "schema": {
        "type": "object",
        "description": "One server-sent event; `data` is JSON, as the history gives it",
        "properties": {name: {"type": "string"} for name in ("id", "event", "data")} | {"retry": {"type": "integer"}},
    },
    "example": 'id: 42\nevent: fix.healed\ndata: {"seq": 42, "kind": "fix.healed", "subject": "fix-1b2c3d4e"}\n\n',
}
"""A stream of them."""
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report in the form that was asked for",
        "content": {
            "text/markdown": _TEXT,
            "text/html": _TEXT,
            "application/json": {"schema": {"type": "object", "additionalProperties": True}},
        },
    }
}
"""What a report is, in each of its forms."""
IDS = {
    "acknowledge": "acknowledge_incident",
    "approve": "approve",
    "archive": "archive_fixes",
    "ask": "ask_model",
    "close": "close_incident",
    "dependency_map": "show_map",
    "escalate": "escalate_incident",
    "evaluation": "evaluate",
    "events": "list_events",
    "healthz": "check_health",
    "live": "follow_events",
    "logs": "list_logs_of_resource",
    "metrics": "show_metrics",
    "readings": "list_readings",
    "readyz": "check_readiness",
    "report": "report_incident",
    "retry": "retry_incident",
    "search": "search_logs",
    "status": "show_status",
    "stop": "stop_incident",
    "templates": "list_log_templates",
    "trigger": "trigger_fix",
    "undo": "undo_incident",
    "what_drifts": "list_drift",
}
"""Operations whose function has a name that would tell too little beside the others."""
_JSON = "application/json"
_METHODS = ("get", "put", "post", "delete", "patch")


def operation_id(route: APIRoute) -> str:
    """What a generated client calls it: a verb and a noun."""
    return IDS.get(route.name, route.name)


class Api(FastAPI):
    """FastAPI, which would describe neither errors nor who may call what."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            made = super().openapi()
            problem = Problem.model_json_schema(mode="serialization", ref_template=REFERENCE)
            schemas = made["components"]["schemas"]
            schemas |= {**problem.pop("$defs"), Problem.__name__: problem}
            made["components"]["schemas"] = dict(sorted(schemas.items()))
            made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for methods in made["paths"].values():
                for method, operation in methods.items():
                    if method in _METHODS:
                        _described(method, operation)
        return cast("dict[str, Any]", self.openapi_schema)


def _described(method: str, operation: dict[str, Any]) -> None:
    token: dict[str, list[str]] = {"token": []}
    operation["security"] = [{}, token] if method == "get" else [token]
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if status == "429":
            whole = {"type": "integer", "minimum": 0}
            response["headers"] = {"Retry-After": {"description": "seconds", "schema": whole}}
        if status == "200" and method == "get" and _JSON in content:
            tag = {"description": "for `If-None-Match`", "schema": {"type": "string"}}
            response["headers"] = {"ETag": tag}
    if method == "get" and _JSON in operation["responses"].get("200", {}).get("content", {}):
        operation["responses"]["304"] = {"description": "It is what `If-None-Match` names"}
