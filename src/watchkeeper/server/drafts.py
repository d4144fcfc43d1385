"""`/api/runbooks/drafts`: what was learned from plans that healed, for a person to accept or discard."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.domain import ConfigurationError, Said, WatchkeeperError, now
from watchkeeper.domain.draft import Draft
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import Page

router = APIRouter(prefix="/api/runbooks/drafts", tags=["runbooks"])


class DraftView(BaseModel):
    """A runbook distilled from a plan that healed. `text` is the whole file, as it would stand in `runbooks:`."""

    draft: Draft
    when: str
    cause: str
    problem: str | None
    """Why it cannot be used any more, where a tool or a metric that it names is gone."""


class AcceptDraft(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str | None = Field(default=None, min_length=1, max_length=50_000)
    """The file as you have improved it; without it as it was drafted."""
    note: str = Field(default="", max_length=1000)


class DiscardDraft(BaseModel):
    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=1000)


class UnfitRunbook(WatchkeeperError):
    """What no runbook can be."""

    status = 422


def _view(runtime: Runtime, draft: Draft) -> DraftView:
    try:
        runbook = runtime.decide.lessons.runbook(draft, draft.text)
    except WatchkeeperError as problem:
        return DraftView(draft=draft, when="", cause="", problem=str(problem))
    return DraftView(draft=draft, when=runbook.when.source, cause=runbook.cause, problem=None)


@router.get("")
async def list_drafts(
    runtime: Here, _: Viewer, status: Literal["draft", "accepted", "discarded"] | None = None
) -> Page[DraftView]:
    """What was learned, newest first; with `status=draft` what nobody has decided yet."""
    found = await runtime.store.select(Draft, status=status or ("draft", "accepted", "discarded"))
    return Page(items=[_view(runtime, draft) for draft in found])


@router.get("/{key}")
async def show_draft(key: str, runtime: Here, _: Viewer) -> DraftView:
    """One draft, by its id or its name."""
    return _view(runtime, await runtime.decide.lessons.find(key))


@router.post("/{key}/accept")
async def accept_draft(key: str, body: AcceptDraft, runtime: Here, who: Operator) -> DraftView:
    """A runbook from now on, and after a restart: the last to be asked, and within policy as any."""
    try:
        draft = await runtime.decide.lessons.accept(key, Said(who.id, now(), body.note), body.text)
    except ConfigurationError as problem:
        raise UnfitRunbook(problem.what, problem.next_step or "Nothing was changed.") from None
    return _view(runtime, draft)


@router.post("/{key}/discard")
async def discard_draft(key: str, body: DiscardDraft, runtime: Here, who: Operator) -> DraftView:
    """No runbook, or none any more. The same is not drafted again."""
    return _view(runtime, await runtime.decide.lessons.discard(key, Said(who.id, now(), body.note)))
