"""Errors as problem+json (RFC 9457)."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from watchkeeper.connectors.examining import Fault
from watchkeeper.domain import WatchkeeperError

log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """What every error looks like: `title` the kind, `detail` what happened and why, `next` what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    next: str = ""
    instance: str = ""
    faults: list[Fault] | None = None
    """Of a text that cannot be used: each thing that is wrong, with its line."""


REFERENCE = "#/components/schemas/{model}"


def described(said: str) -> dict[str, Any]:
    """Such an answer in the API's description. By reference: given the model, FastAPI makes a validator of it for each
    answer of each operation, two thousand of them at the first requests."""
    schema = {"$ref": REFERENCE.format(model=Problem.__name__)}
    return {"description": said, "content": {"application/problem+json": {"schema": schema}}}


def _a_person_came(request: Request) -> bool:
    """To an address, in a browser; the API answers the same to everybody."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/api/", "/assets/"))


def _response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        problem.status,
        media_type="application/problem+json",
        headers=headers or {},
    )


def problem_response(problem: WatchkeeperError, path: str) -> JSONResponse:
    """One of our own errors, as an answer."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
    if problem.status in (408, 413):  # what comes still is not wanted
        headers["Connection"] = "close"
    if (seconds := getattr(problem, "retry_after", None)) is not None:
        headers["Retry-After"] = str(seconds)
    title = HTTPStatus(problem.status).phrase
    found: list[Fault] | None = getattr(problem, "faults", None)
    said = Problem(title=title, status=problem.status, detail=problem.what, next=problem.next_step, instance=path)
    return _response(said.model_copy(update={"faults": found}), headers)


def install(app: FastAPI, lost: Callable[[], Response]) -> None:
    """Every error of the API answers in the same form; `lost` is what a browser gets at an address that is nothing."""

    @app.exception_handler(WatchkeeperError)
    async def _ours(request: Request, problem: WatchkeeperError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem_response(problem, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, problem: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        errors: list[dict[str, Any]] = list(problem.errors())
        said = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in errors
        )
        return _response(
            Problem(title="Unprocessable Content", status=422, detail=said, next="/docs", instance=request.url.path)
        )

    @app.exception_handler(HTTPException)
    async def _http(request: Request, problem: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        if problem.status_code == 404 and request.method == "GET" and _a_person_came(request):
            return lost()
        title = HTTPStatus(problem.status_code).phrase
        return _response(
            Problem(title=title, status=problem.status_code, detail=str(problem.detail), instance=request.url.path),
            dict(problem.headers or {}),
        )

    @app.exception_handler(Exception)
    async def _bug(request: Request, problem: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        log.error("a request failed", path=request.url.path, exc_info=problem)
        return _response(
            Problem(
                title="Internal Server Error",
                status=500,
                detail=f"A bug of ours: {type(problem).__name__}.",
                next="The server's log has the traceback.",
                instance=request.url.path,
            )
        )
