"""The HTTP API of the lab's own process. Whoever holds its token may break the lab; nothing of a body is logged."""

import asyncio
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from time import time
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from watchkeeper_lab.api import service_of
from watchkeeper_lab.errors import BadInputError, LabError
from watchkeeper_lab.lab import Lab
from watchkeeper_lab.scenario import left_out, scenario, scenarios
from watchkeeper_lab.serve import results
from watchkeeper_lab.serve.benchmarks import Benchmark, kept
from watchkeeper_lab.serve.clearing import reset_service
from watchkeeper_lab.serve.validation import Run, Validations

HERE = ("127.0.0.1", "localhost", "::1")
LONGEST = 1800.0
"""Seconds that a validation run may wait for Watchkeeper."""


class ProblemError(Exception):
    """What was asked for cannot be done."""

    def __init__(self, status: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.status, self.what, self.hint = status, what, hint


class Which(BaseModel):
    """A resource, as Watchkeeper knows it."""

    id: str
    labels: dict[str, str] = Field(default_factory=dict[str, str])


class Validate(BaseModel):
    """A validation run that is asked for. `watchkeeper` is the address of the one that is to heal it, on loopback."""

    fault: str
    watchkeeper: str = "http://127.0.0.1:8000"
    deadline: float = Field(default=120.0, ge=1.0, le=LONGEST)


class Measure(BaseModel):
    """A benchmark that is asked for; without names, all that can be had."""

    only: list[str] = Field(default_factory=list[str])
    watchkeeper: str = "http://127.0.0.1:8000"
    deadline: float = Field(default=120.0, ge=1.0, le=LONGEST)


class Desk:
    """What the process knows beside the lab: what was broken since the last reset, and who is at work."""

    def __init__(self, lab: Lab, token: str, folder: Path) -> None:
        self.lab, self.token, self.results = lab, token, folder
        self.busy = asyncio.Lock()
        self.in_effect: dict[str, float] = {}
        self.validations = Validations(lab)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[Lab]:
        """Nobody else breaks or mends meanwhile."""
        if self.busy.locked():
            raise ProblemError(409, "The lab is being broken or mended already.", "Try again when that is over.")
        async with self.busy:
            yield self.lab


def _desk(request: Request, authorization: Annotated[str, Header()] = "") -> Desk:
    desk: Desk = request.app.state.desk
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if name not in HERE:
        raise ProblemError(403, f"The Host {name!r} is not this process.")
    if not hmac.compare_digest(authorization.encode(), f"Bearer {desk.token}".encode()):
        raise ProblemError(401, "The token is not the lab's.", "It is in the file that `watchkeeper lab serve` names.")
    return desk


Here = Annotated[Desk, Depends(_desk)]


def create_app(lab: Lab, token: str, folder: Path) -> FastAPI:
    """The process' API over a lab that is up; `folder` holds results of benchmarks."""

    app = FastAPI(title="watchkeeper-lab", docs_url=None, redoc_url=None)
    app.state.desk = Desk(lab, token, folder)
    _problems(app)
    _faults(app)
    _runs(app)
    return app


def _faults(app: FastAPI) -> None:
    @app.get("/faults")
    async def list_faults(desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """What can be broken, and what is."""
        lacking = left_out(desk.lab.ground, desk.lab.stack)
        return {
            "lab": desk.lab.instance.name,
            "items": [
                {
                    "name": one.name,
                    "kind": one.kind,
                    "description": one.description,
                    "expect": one.expect,
                    "left_out": lacking.get(one.name),
                    "in_effect_since": desk.in_effect.get(one.name),
                }
                for one in scenarios(desk.lab.stack).values()
            ],
        }

    @app.post("/faults/{fault}")
    async def inject(fault: str, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Break something, or start a control; answers once it is in effect."""
        chosen = _known(desk, fault)
        async with desk.alone() as lab:
            began = time()
            at = desk.in_effect[chosen.name] = await lab.inject(chosen.name)
        return {"name": chosen.name, "in_effect_since": at, "seconds": round(max(0.0, at - began), 3)}

    @app.delete("/faults")
    async def end_all(desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Back to how it was when the lab came up."""
        return await _reset(desk)

    @app.delete("/faults/{fault}")
    async def end(fault: str, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """The same: what was broken is not taken back one by one."""
        _known(desk, fault)
        return await _reset(desk)

    @app.post("/reset")
    async def reset(which: Which, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """One service back to healthy, with all its connections cleared."""
        instance = desk.lab.instance
        service = service_of(which.model_dump(), instance.project, instance.by_port)
        if not service:
            raise ProblemError(
                404, f"{which.id} is nothing of the lab `{instance.name}`.", "`watchkeeper lab status` shows what is."
            )
        async with desk.alone() as lab:
            began = time()
            cleared = await reset_service(lab, service)
        return asdict(cleared) | {"seconds": round(time() - began, 3)}


def _runs(app: FastAPI) -> None:
    @app.get("/validation")
    async def list_runs(desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """The runs of this process, newest first."""
        return {"items": [asdict(run) for run in desk.validations.runs]}

    @app.post("/validation", status_code=202)
    async def begin(body: Validate, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Begin a run; follow it by its id."""
        chosen = _known(desk, body.fault)
        _free(desk, body.watchkeeper)
        return asdict(desk.validations.begin(chosen, body.watchkeeper, body.deadline, desk.busy))

    @app.get("/validation/{key}")
    async def show_run(key: str, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """One run, step by step."""
        return asdict(_run(desk, key))

    @app.get("/benchmarks")
    async def list_benchmarks(desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """The results that lie in the folder, and of those begun here."""
        found = await asyncio.to_thread(results.listed, desk.results, kept())
        runs = desk.validations.benchmark
        if runs is not None and runs.status == "running":
            found = [runs.as_json(), *(one for one in found if one["name"] != runs.name)]
        return {"items": found}

    @app.post("/benchmarks", status_code=202)
    async def measure(body: Measure, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Begin one; each of its faults and controls is a validation run."""
        for name in body.only:
            _known(desk, name)
        benchmark = await Benchmark.of(desk.lab, body.only)
        _free(desk, body.watchkeeper)
        desk.validations.measure(benchmark, body.watchkeeper, body.deadline, desk.busy)
        return benchmark.as_json()

    @app.delete("/benchmarks/{name}")
    async def stop(name: str, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Cut off the one that runs."""
        runs = desk.validations.benchmark
        if runs is None or runs.name != name or runs.status != "running":
            raise ProblemError(409, f"{name} does not run.", "GET /benchmarks tells what does.")
        await desk.validations.stop()
        return runs.as_json()

    @app.get("/benchmarks/{name}")
    async def show_benchmark(name: str, desk: Here) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """One, with each of its scenarios."""
        told = await asyncio.to_thread(results.found, name, desk.results, kept())
        if told is None:
            raise ProblemError(404, f"There are no results {name!r}.", "GET /benchmarks lists them.")
        return told


def _run(desk: Desk, key: str) -> Run:
    run = desk.validations.find(key)
    if run is None:
        raise ProblemError(404, f"There is no validation run {key!r}.", "GET /validation lists them.")
    return run


def _free(desk: Desk, watchkeeper: str) -> None:
    """That Watchkeeper may be asked, and nobody is at work; what was broken by hand is forgotten, for it is reset."""
    there = urlsplit(watchkeeper)
    if there.scheme not in ("http", "https") or there.hostname not in HERE:
        raise ProblemError(422, "`watchkeeper` must be an address on this machine.", "http://127.0.0.1:8000")
    if desk.busy.locked():
        raise ProblemError(409, "The lab is being broken or mended already.", "Try again when that is over.")
    desk.in_effect.clear()


def _known(desk: Desk, fault: str) -> Any:
    try:
        return scenario(fault, desk.lab.ground, desk.lab.stack)
    except BadInputError as problem:
        raise ProblemError(404, problem.what, problem.hint) from None


async def _reset(desk: Desk) -> dict[str, Any]:
    async with desk.alone() as lab:
        began = time()
        restored = await lab.reset()
        ended = list(desk.in_effect)
        desk.in_effect.clear()
    seen = restored.judgement
    return {
        "ended": ended,
        "healthy": seen.healthy,
        "reasons": list(seen.reasons),
        "lost": len(restored.lost),
        "seconds": round(time() - began, 3),
    }


def _problems(app: FastAPI) -> None:
    def answer(status: int, what: str, hint: str) -> JSONResponse:
        body = {"type": "about:blank", "title": "", "status": status, "detail": what, "next": hint}
        return JSONResponse(body, status, media_type="application/problem+json")

    @app.exception_handler(ProblemError)
    async def _ours(_: Request, problem: ProblemError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return answer(problem.status, problem.what, problem.hint)

    @app.exception_handler(LabError)
    async def _lab(_: Request, problem: LabError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return answer(409, problem.what, problem.hint)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, problem: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        said = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in problem.errors())
        return answer(422, said, "")
