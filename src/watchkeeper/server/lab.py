"""Failures, resets, validation runs, benchmarks: forwarded to the lab's own process, only where one is configured.

Nothing here breaks anything, and nothing of it is logged or becomes an event: what is being broken shall be found, not
read.
"""

from json import JSONDecodeError
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from watchkeeper.domain import Conflict, NotFound, WatchkeeperError
from watchkeeper.server.resources import watcher_of
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import Page
from watchkeeper.settings import secret

router = APIRouter(prefix="/api", tags=["lab"])
PATIENCE = 240.0
"""Seconds: the lab answers once a fault is in effect, or all is healthy again, for which it waits up to 120 s."""
NOT_THERE = "No lab is configured: nothing can be broken, or reset, from here."
HOW = "Where you practise: `watchkeeper lab serve` says what to write into watchkeeper.yaml (docs/lab.md)."
V = TypeVar("V")
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=100)]


class Silent(WatchkeeperError):
    """The lab's process does not answer, or not as it should."""

    status = 503


class FailureView(BaseModel):
    """What can be broken, or only looks so (`control`). `in_effect_since`: Unix time, since it was injected."""

    name: str
    kind: Literal["fault", "control"]
    description: str
    expect: str
    left_out: str | None
    """Why it cannot be had in this lab."""
    in_effect_since: float | None


class InjectedView(BaseModel):
    name: str
    in_effect_since: float
    """Unix time."""
    seconds: float


class ResetView(BaseModel):
    """`ended`: what had been injected. `healthy`, with why not, is what the lab's own oracle says."""

    ended: list[str]
    healthy: bool
    reasons: list[str]
    lost: int
    """Acknowledged writes that were gone."""
    seconds: float


class ClearedView(BaseModel):
    """`connections` were ended, not only idle ones; null where it was restarted, and nothing counts them."""

    service: str
    connections: int | None
    healthy: bool
    reasons: list[str]
    seconds: float


class ValidationStep(BaseModel):
    name: Literal["reset", "baseline", "inject", "detect", "decide", "act", "verify"]
    status: Literal["waiting", "running", "done", "failed", "skipped"]
    began: float | None
    seconds: float | None
    what: str


class ValidationView(BaseModel):
    """A fault from its injection to its proof. `row`: how it was judged, as in the benchmark, once it is over."""

    id: str
    fault: str
    kind: str
    watchkeeper: str
    began: float
    status: Literal["running", "done", "failed"]
    ended: float | None
    steps: list[ValidationStep]
    told: list[str]
    error: str
    row: dict[str, Any] | None


class BenchmarkView(BaseModel):
    """One benchmark. `status` is null where it was run elsewhere; `began`, `ended` (Unix time) if not said."""

    name: str
    suite: str | None
    complete: bool | None
    began: float | None = None
    ended: float | None = None
    status: Literal["running", "done", "failed"] | None = None
    error: str = ""
    left: list[str] = []
    """What is still to be run of it."""
    ground: str | None
    seed: int | None
    summary: dict[str, Any]
    machine: dict[str, Any] | None
    versions: dict[str, str] | None


class BenchmarkDetail(BenchmarkView):
    scenarios: list[dict[str, Any]]


class Validate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    fault: str = Field(min_length=1, max_length=100)
    deadline: float = Field(default=120.0, ge=1.0, le=1800.0)
    """Seconds within which an incident must be over."""


class Measure(BaseModel):
    model_config = ConfigDict(extra="forbid")
    only: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default=[], max_length=100)
    """Faults and controls by name; without any, all that this lab can have."""
    deadline: float = Field(default=120.0, ge=1.0, le=1800.0)
    """Seconds within which each incident must be over."""


async def _ask(runtime: Runtime, as_: Any, method: str, path: str, body: Any = None) -> Any:
    """What the lab answers. Raises NotFound where none is configured, and what the lab itself refuses."""
    said = runtime.settings.lab
    if said is None:
        raise NotFound(NOT_THERE, HOW)
    headers = {"Authorization": f"Bearer {secret(said.token)}"}
    timeout = httpx.Timeout(PATIENCE, connect=3.0)
    try:
        async with httpx.AsyncClient(base_url=said.url, headers=headers, timeout=timeout, trust_env=False) as client:
            answer = await client.request(method, path, json=body)
            told: Any = answer.json()
            if answer.is_error:
                raise _refused(answer.status_code, told)
            return TypeAdapter(as_).validate_python(told)
    except httpx.TransportError as problem:
        raise Silent(f"The lab does not answer at {said.url}: {type(problem).__name__}.", HOW) from None
    except (JSONDecodeError, ValidationError, UnicodeDecodeError):
        raise Silent(f"What answers at {said.url} is no lab of ours, or of another version.", HOW) from None


def _refused(status: int, told: Any) -> WatchkeeperError:
    if status in (401, 403) or not isinstance(told, dict):
        return Conflict("The lab does not let us in.", "`lab.token` in watchkeeper.yaml names the file with its token.")
    problem = WatchkeeperError(str(told.get("detail", "")), str(told.get("next", "")))  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
    problem.status = status if status in (404, 409, 422) else 503
    return problem


@router.get("/failures")
async def list_failures(runtime: Here, _: Viewer) -> Page[FailureView]:
    """What can be broken in the lab, and what is just now."""
    return await _ask(runtime, Page[FailureView], "GET", "/faults")


@router.post("/failures/{fault}")
async def inject(fault: Name, runtime: Here, _: Operator) -> InjectedView:
    """Break something in the lab, or start a control; answers once it is in effect."""
    return await _ask(runtime, InjectedView, "POST", f"/faults/{quote(fault, safe='')}")


@router.delete("/failures")
async def end_failures(runtime: Here, _: Operator) -> ResetView:
    """The whole lab back to how it was when it came up."""
    return await _ask(runtime, ResetView, "DELETE", "/faults")


@router.delete("/failures/{fault}")
async def end_failure(fault: Name, runtime: Here, _: Operator) -> ResetView:
    """The same: what was broken is not taken back one by one; `ended` names all of it."""
    return await _ask(runtime, ResetView, "DELETE", f"/faults/{quote(fault, safe='')}")


@router.post("/resources/{slug}/reset")
async def reset(slug: str, runtime: Here, _: Operator) -> ClearedView:
    """A resource of the lab back to healthy, with all its connections cleared, not only idle ones."""
    if runtime.settings.lab is None:
        raise NotFound(NOT_THERE, HOW)
    watcher = watcher_of(runtime, slug)
    if watcher is None:
        raise Conflict(f"{slug} is looked at by another executor.", "Ask that one; the lab is on one machine.")
    resource = watcher.resource
    if resource.environment != "lab":
        raise Conflict(f"{resource.slug} is of {resource.environment}, not of the lab: nothing is reset there.")
    which = {"id": resource.id, "labels": dict(resource.labels)}
    return await _ask(runtime, ClearedView, "POST", "/reset", which)


@router.get("/validation")
async def list_validations(runtime: Here, _: Viewer) -> Page[ValidationView]:
    """The validation runs since the lab's process began, newest first."""
    return await _ask(runtime, Page[ValidationView], "GET", "/validation")


@router.post("/validation", status_code=202)
async def validate(body: Validate, runtime: Here, _: Operator) -> ValidationView:
    """Begin a run against this very server: reset, baseline, inject, detect, decide, act, verify."""
    server = runtime.settings.server
    own = {"watchkeeper": f"http://127.0.0.1:{server.port}", **body.model_dump()}
    return await _ask(runtime, ValidationView, "POST", "/validation", own)


@router.get("/validation/{key}")
async def show_validation(key: Name, runtime: Here, _: Viewer) -> ValidationView:
    """One run, step by step, each with its time."""
    return await _ask(runtime, ValidationView, "GET", f"/validation/{quote(key, safe='')}")


@router.get("/benchmarks")
async def list_benchmarks(runtime: Here, _: Viewer) -> Page[BenchmarkView]:
    """The results of benchmarks that the lab knows."""
    return await _ask(runtime, Page[BenchmarkView], "GET", "/benchmarks")


@router.post("/benchmarks", status_code=202)
async def measure(body: Measure, runtime: Here, _: Operator) -> BenchmarkView:
    """Begin a benchmark against this very server: each fault and control in turn, in random order, as a
    validation run."""
    own = {"watchkeeper": f"http://127.0.0.1:{runtime.settings.server.port}", **body.model_dump()}
    return await _ask(runtime, BenchmarkView, "POST", "/benchmarks", own)


@router.delete("/benchmarks/{name}")
async def stop_benchmark(name: Name, runtime: Here, _: Operator) -> BenchmarkView:
    """Stop the one that runs; what it has measured is kept."""
    return await _ask(runtime, BenchmarkView, "DELETE", f"/benchmarks/{quote(name, safe='')}")


@router.get("/benchmarks/{name}")
async def show_benchmark(name: Name, runtime: Here, _: Viewer) -> BenchmarkDetail:
    """One, with each of its scenarios."""
    return await _ask(runtime, BenchmarkDetail, "GET", f"/benchmarks/{quote(name, safe='')}")
