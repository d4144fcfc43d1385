"""`/api/silences`: what people are not told of, for a while."""

import difflib
from typing import Literal

from fastapi import APIRouter
from pydantic import Field, model_validator

from watchkeeper.domain import Conflict, Event, NotFound, Severity, Silence, now
from watchkeeper.domain.restraint import moment
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.still import Span, named
from watchkeeper.server.views import Page, SilenceView
from watchkeeper.store import new_id

router = APIRouter(prefix="/api", tags=["still"])


class AddSilence(Span):
    """At least one matcher; all that are given must match."""

    resource: str = Field(default="", max_length=500)
    """A slug, an id, a glob; `all`."""
    rule: str = Field(default="", max_length=500)
    """A rule's name, or a glob."""
    severity: Severity | Literal[""] = ""
    approvals: bool = False
    """Keep back requests for approval, too."""

    @model_validator(mode="after")
    def _some(self) -> "AddSilence":
        if not (self.resource or self.rule or self.severity):
            raise ValueError("say what it is about: `resource` (`all` for everything), `rule` or `severity`")
        return self


async def silence_view(runtime: Runtime, silence: Silence) -> SilenceView:
    kept_back = await runtime.silences.kept_back(silence.id)
    fields: dict[str, object] = {name: getattr(silence, name) for name in SilenceView.model_fields if name in _OWN}
    return SilenceView.model_validate(fields | {"about": silence.about, "kept_back": dict(kept_back)})


_OWN = set(Silence.__slots__)


@router.get("/silences")
async def list_silences(runtime: Here, _: Viewer, status: Literal["standing", "all"] = "standing") -> Page[SilenceView]:
    """What holds now, newest first; `all`: what is over, too."""
    only = ("standing",) if status == "standing" else ("standing", "over")
    found = await runtime.store.select(Silence, status=only)
    return Page(items=[await silence_view(runtime, silence) for silence in found])


@router.post("/silences", status_code=201)
async def add_silence(body: AddSilence, runtime: Here, who: Operator) -> SilenceView:
    """Tell nobody about what matches, for a while. Acting is not affected, and everything stays in the history."""
    if body.resource:
        named(runtime, [body.resource])
    rules = [rule.id for rule in runtime.watch.rules]
    if body.rule and not set(body.rule) & set("*?[") and body.rule not in rules:
        near = difflib.get_close_matches(body.rule, rules, n=1)
        raise NotFound(
            f"There is no rule {body.rule!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
            "`watchkeeper rules` lists them.",
        )
    at = now()
    silence = Silence(
        new_id("sil"),
        body.resource,
        body.rule,
        body.severity,
        at,
        at + body.length,
        body.reason,
        who.id,
        body.approvals,
    )
    text = f"{who.name} silences {silence.about} until {moment(silence.ends)}"
    text += f": {body.reason}" if body.reason else ""
    data: dict[str, object] = {"ends": silence.ends.isoformat()}
    await runtime.silences.add(silence, Event("silence.started", silence.id, text, at, who.id, data=data))
    return await silence_view(runtime, silence)


@router.post("/silences/{key}/expire")
async def expire_silence(key: str, runtime: Here, who: Operator) -> SilenceView:
    """End a silence now; people are told in one line what it kept back."""
    silence = await runtime.store.find(Silence, key)
    if silence is None:
        raise NotFound(f"There is no silence {key}.", "`watchkeeper silence list` shows them.")
    if not silence.stands(now()):
        raise Conflict(f"{key} is over since {moment(silence.ends)}.")
    return await silence_view(runtime, await runtime.silences.end(silence, who.id))
