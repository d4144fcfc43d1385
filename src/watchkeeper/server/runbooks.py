"""`/api/runbooks`: what it knows to do; written anew while it runs, with who did, and back."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.connectors.registry import Origin
from watchkeeper.decide.handbook import LONGEST, digest
from watchkeeper.domain import NotFound, Refused, Runbook, Said, WatchkeeperError, now
from watchkeeper.server.problems import described
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Admin, Here, Viewer
from watchkeeper.server.views import Page

router = APIRouter(prefix="/api/runbooks", tags=["runbooks"])
RESERVED = "drafts"
CHANGED_MEANWHILE: dict[int | str, dict[str, Any]] = {
    412: described("It is another than `If-Match` names"),
    428: described("`If-Match` is missing"),
}
Kind = Annotated[str | None, Query(max_length=64, description="where several technologies have one of that name")]
Match = Annotated[str | None, Header(alias="If-Match", description="the `ETag` of what was read")]


class RunbookView(BaseModel):
    """A runbook in force. `text` is its whole file, front matter included, as it was read."""

    name: str
    kind: str
    when: str
    cause: str
    ladder: list[list[dict[str, Any]]]
    healed: str | None
    confirm: str = ""
    page: str
    origin: Origin
    """`packaged` with a connector, from the `file` of your folder, `changed` while it runs, `learned` here."""
    text: str
    digest: str
    """What tells this text from others; the `ETag` of its page."""
    problem: str | None = None
    """Why what somebody wrote cannot be used any more; what it replaced holds meanwhile."""


class RunbookChange(BaseModel):
    """One change. `text` is what was written then; null: as it was before anybody wrote it."""

    by: str
    at: datetime
    note: str
    text: str | None


class RunbookHistory(BaseModel):
    name: str
    kind: str
    origin: Origin
    settled: str | None
    """What is there without any change; null: nothing."""
    first: str | None
    """What somebody had written before the first of these changes; null: nothing."""
    changes: list[RunbookChange]
    """The newest last, of the last fifty."""


class WriteRunbook(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=LONGEST)
    """The whole file: front matter with `when`, `cause` and `ladder`, and below it the page for people."""
    kind: str | None = Field(default=None, max_length=64)
    """The technology it is for; needed for a new name, or where several have one of that name."""
    note: str = Field(default="", max_length=1000)


class UndoRunbook(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str | None = Field(default=None, max_length=64)
    note: str = Field(default="", max_length=1000)


class NotSaid(WatchkeeperError):
    """It is not said of which text this is a change."""

    status = 428


def view_of(runtime: Runtime, runbook: Runbook) -> RunbookView:
    """A runbook as it is shown."""
    ladder: list[list[dict[str, Any]]] = [
        [
            {"tool": s.tool, "with": dict(s.arguments) | {n: f"= {e.source}" for n, e in s.expressions.items()}}
            for s in rung
        ]
        for rung in runbook.ladder
    ]
    return RunbookView(
        name=runbook.name,
        kind=runbook.kind,
        when=runbook.when.source,
        cause=runbook.cause,
        ladder=ladder,
        healed=runbook.healed.source if runbook.healed else None,
        confirm=runbook.confirm,
        page=runbook.page,
        origin=runtime.registry.origin(runbook),
        text=runbook.text,
        digest=digest(runbook.text),
        problem=runtime.decide.handbook.broken.get((runbook.kind, runbook.name)),
    )


def _shown(runtime: Runtime, runbook: Runbook, response: Response) -> RunbookView:
    response.headers["ETag"] = f'"{digest(runbook.text)}"'
    return view_of(runtime, runbook)


def _found(runtime: Runtime, name: str, kind: str | None) -> Runbook | None:
    """Raises Conflict where several technologies have one of that name."""
    try:
        return runtime.decide.handbook.find(name, kind)
    except NotFound:
        return None


@router.get("")
async def list_runbooks(runtime: Here, _: Viewer) -> Page[RunbookView]:
    """Every runbook with its ladder."""
    return Page(items=[view_of(runtime, runbook) for runbook in runtime.registry.runbooks])


@router.get("/{name}")
async def show_runbook(name: str, runtime: Here, _: Viewer, response: Response, kind: Kind = None) -> RunbookView:
    """One runbook, with its page, and in `ETag` what a change of it must name."""
    return _shown(runtime, runtime.decide.handbook.find(name, kind), response)


@router.get("/{name}/history")
async def show_runbook_history(name: str, runtime: Here, _: Viewer, kind: Kind = None) -> RunbookHistory:
    """Who changed it while it ran, with each text."""
    runbook = runtime.decide.handbook.find(name, kind)
    told = await runtime.decide.handbook.history(name, runbook.kind)
    settled = runtime.decide.handbook.settled(name, runbook.kind)
    changes: list[Any] = [
        {"by": event.by, "at": event.at, "note": event.data["note"], "text": event.data["to"]} for event in told
    ]
    was: Any = told[0].data["from"] if told else None
    return RunbookHistory(
        name=name,
        kind=runbook.kind,
        origin=runtime.registry.origin(runbook),
        settled=settled.text if settled else None,
        first=was,
        changes=changes,
    )


@router.put("/{name}", responses=CHANGED_MEANWHILE)
async def write_runbook(
    name: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")],
    body: WriteRunbook,
    runtime: Here,
    who: Admin,
    response: Response,
    match: Match = None,
) -> RunbookView:
    """Write one anew, checked as `watchkeeper check` would, with `If-Match`; or a new one, with its `kind`. From now
    on, and after a restart; what it does goes through policy as ever."""
    if name == RESERVED:
        raise Refused(f"{name} is a word of the API.", "Give it another name.")
    found = _found(runtime, name, body.kind)
    expected: str | None = None
    if found is None:
        if body.kind is None or match is not None:
            raise NotFound(f"There is no runbook {name!r}.", "To write a new one say which `kind` it is for.")
    elif match is None:
        raise NotSaid(
            f"{name} is there: say of which text of it this is a change.",
            "Send the `ETag` that GET gave as `If-Match`.",
        )
    elif match.strip() != "*":
        expected = match.strip().removeprefix("W/").strip('"')
    kind = found.kind if found is not None else body.kind or ""
    await runtime.decide.handbook.change(name, kind, body.text, Said(who.id, now(), body.note), expected)
    await runtime.desk.wake_all()
    return _shown(runtime, runtime.decide.handbook.find(name, kind), response)


@router.delete("/{name}")
async def reset_runbook(name: str, runtime: Here, who: Admin, response: Response, kind: Kind = None) -> RunbookView:
    """As it was before anybody wrote it; one that was new is gone."""
    found = runtime.decide.handbook.find(name, kind)
    await runtime.decide.handbook.change(name, found.kind, None, Said(who.id, now()))
    await runtime.desk.wake_all()
    return _shown(runtime, _found(runtime, name, found.kind) or found, response)


@router.post("/{name}/undo")
async def undo_runbook(name: str, body: UndoRunbook, runtime: Here, who: Admin, response: Response) -> RunbookView:
    """As it was before the last change of it."""
    found = _found(runtime, name, body.kind)
    kind = found.kind if found is not None else body.kind
    if kind is None:
        raise NotFound(f"There is no runbook {name!r}.", "Of one that is gone say which `kind` it was for.")
    was = await runtime.decide.handbook.before(name, kind)
    await runtime.decide.handbook.change(name, kind, was, Said(who.id, now(), body.note))
    await runtime.desk.wake_all()
    left = _found(runtime, name, kind) or found
    assert left is not None
    return _shown(runtime, left, response)
