"""What somebody says who wants to follow: in the address, or in a frame."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from watchkeeper.domain import NotFound
from watchkeeper.server import elsewhere
from watchkeeper.server.live.events import EventsWanted
from watchkeeper.server.runtime import Runtime

FARTHEST = 2**62
MOST = 50
"""Names in one filter."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]


def _listed(value: Any) -> Any:
    """One name is a list of one."""
    return [value] if isinstance(value, str) else value


def _plain(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


Names = Annotated[list[Name], BeforeValidator(_listed), AfterValidator(_plain), Field(max_length=MOST)]


class Ask(BaseModel):
    """Where to begin, and what of it."""

    model_config = ConfigDict(extra="forbid")
    after: Annotated[
        int | None,
        Field(ge=0, le=FARTHEST, description="begin after the event of this number; without it, with what comes next"),
    ] = None
    kinds: Annotated[
        Names, Field(description="kinds of events, or globs over them: `fix.*`", examples=[["fix.*", "approval.*"]])
    ] = []
    resource: Annotated[Names, Field(description="resources, by slug or id, or globs over them")] = []
    environment: Annotated[Names, Field(description="environments: `production`, `staging`, `lab`")] = []
    incident: Annotated[Name | None, Field(description="only what belongs to this incident")] = None


class FirstFrame(Ask):
    """The same, as a client of the WebSocket says it; with a token, where it could not send a header."""

    token: Annotated[str | None, Field(max_length=300)] = None


async def wanted(runtime: Runtime, ask: Ask) -> EventsWanted:
    """What is asked for. Raises NotFound where a resource is named that is not watched."""
    resources = [await _named(runtime, name) for name in ask.resource]
    return EventsWanted(tuple(ask.kinds), tuple(resources), tuple(ask.environment), ask.incident)


async def _named(runtime: Runtime, name: str) -> str:
    """Its id; a glob, and the id of what is no more, as they are."""
    if any(sign in name for sign in "*?["):
        return name
    try:
        return runtime.watch.resource(name).id
    except NotFound:
        if name.count("/") == 3:
            return name
        if runtime.store.shared:
            return (await elsewhere.find(runtime, name))[0].id
        raise
