"""`/api/maintenance`: windows in which the hands are still. `/api/mcp/tools/{name}/reset`: a breaker is closed."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from watchkeeper.decide import RESET
from watchkeeper.domain import ConfigurationError, Conflict, Event, NotFound, Refused, Window, now
from watchkeeper.domain.duration import seconds
from watchkeeper.domain.restraint import matches, moment
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.server.views import BreakerView, Moment, Page, WindowView, breaker_view, window_view
from watchkeeper.store import new_id

router = APIRouter(prefix="/api", tags=["still"])
LONGEST = 366 * 86400.0
"""Seconds that anything begun by hand may last."""


def _length(text: str) -> str:
    try:
        given = seconds(text)
    except ConfigurationError as problem:
        raise ValueError(str(problem).replace("\n", " ")) from None
    if not 1 <= given <= LONGEST:
        raise ValueError("it lasts from 1s to 366d")
    return text


Length = Annotated[str, AfterValidator(_length), Field(description="How long: `30m`, `2h`, `1d`.")]


class Span(BaseModel):
    """How long something lasts: `for` from now on, or `until` a time."""

    model_config = ConfigDict(extra="forbid")
    for_: Length | None = Field(default=None, alias="for")
    until: Moment | None = None
    reason: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _one(self) -> "Span":
        if (self.for_ is None) == (self.until is None):
            raise ValueError("give either `for` or `until`")
        if self.until is not None and not 0 < (self.until - now()).total_seconds() <= LONGEST:
            raise ValueError("`until` must be in the future, and within 366 days")
        return self

    @property
    def length(self) -> timedelta:
        if self.until is not None:
            return self.until - now()
        return timedelta(seconds=seconds(self.for_ or 0))


class StartMaintenance(Span):
    resources: list[str] = Field(min_length=1, max_length=100)
    """Slugs, ids, globs; `all`."""
    quiet: bool = False
    """Messages about them are kept back, too, as by a silence."""


def named(runtime: Runtime, patterns: list[str]) -> int:
    """How many resources are meant. Raises NotFound where a name without a wildcard means none."""
    there = runtime.watch.fleet.resources.values()
    for pattern in patterns:
        if pattern != "all" and not set(pattern) & set("*?[") and not any(matches(pattern, r) for r in there):
            runtime.watch.resource(pattern)  # raises, and names the nearest
    return sum(any(matches(pattern, resource) for pattern in patterns) for resource in there)


@router.get("/maintenance")
async def list_maintenance(runtime: Here, _: Viewer) -> Page[WindowView]:
    """The windows that hold now, and the next of each schedule."""
    at = now()
    standing = await runtime.decide.windows.standing(at)
    return Page(items=[window_view(window, at) for window in (*standing, *runtime.decide.windows.coming(at))])


@router.post("/maintenance", status_code=201)
async def start_maintenance(body: StartMaintenance, runtime: Here, who: Operator) -> WindowView:
    """Change nothing by itself on these from now on, for a while. What waits goes on by itself at the end."""
    count = named(runtime, body.resources)
    at = now()
    window = Window(new_id("mnt"), tuple(body.resources), at, at + body.length, body.reason, who.id, quiet=body.quiet)
    text = f"{who.name} begins maintenance of {', '.join(body.resources)} until {moment(window.ends)}"
    text += f": {body.reason}" if body.reason else ""
    data: dict[str, object] = {"resources": body.resources, "ends": window.ends.isoformat(), "matches": count}
    await runtime.store.save(window, Event("maintenance.started", window.id, text, at, who.id, data=data))
    return window_view(window, at)


@router.post("/maintenance/{key}/end")
async def end_maintenance(key: str, runtime: Here, who: Operator) -> WindowView:
    """End a window now that was begun by hand; what it held back goes on at once."""
    window = await runtime.store.find(Window, key)
    at = now()
    if window is None:
        if any(schedule.name == key for schedule in runtime.settings.maintenance):
            raise Refused(f"{key} is a window of the configuration.", "Change it there, and start `up` anew.")
        raise NotFound(f"There is no maintenance window {key}.", "`watchkeeper maintenance list` shows them.")
    if not window.stands(at):
        raise Conflict(f"{key} is over since {moment(window.ends)}.")
    ended = window.end(who.id, at)
    event = Event("maintenance.ended", key, f"{who.name} ends the maintenance {key}", at, who.id)
    await runtime.store.save(ended, event)
    await runtime.silences.end_with(window, who.id)
    await runtime.desk.wake_all()
    return window_view(ended, at)


@router.post("/mcp/tools/{name}/reset")
async def reset_tool(name: str, runtime: Here, who: Operator) -> Page[BreakerView]:
    """Close a tool's breakers: its failures up to now count no more. Gives those that were open."""
    tool = runtime.decide.tool(name)
    found = await runtime.decide.history.breakers((tool.name,))
    if not found:
        raise Conflict(f"No breaker of {name} is open.", "`watchkeeper tools` shows those that are.")
    text = f"{who.name} closes the breaker of {name}"
    await runtime.store.emit(Event(RESET, name, text, now(), who.id, data={"tool": name}))
    await runtime.desk.wake_all()
    return Page(items=[breaker_view(one, now()) for one in found])
