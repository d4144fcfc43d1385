"""`/api/mode`: another mode than the configured one, set while it runs. `/api/settings`: what is configured."""

import re
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.decide import ALL, RANK
from watchkeeper.decide.modes import CHANGED
from watchkeeper.domain import Event, Forbidden, Principal, Said, now
from watchkeeper.server.incidents import id_of
from watchkeeper.server.mode_views import ModeSetView, mode_set
from watchkeeper.server.policy import PolicyChangeView, policy_change
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Here, Operator, Viewer
from watchkeeper.settings import REFERENCE, Mode

router = APIRouter(prefix="/api", tags=["policy"])
SHOWN = 50
"""Changes of the mode that are told with it, the newest."""
HIDDEN = "•••"
_SECRET = re.compile(r"password|secret|token|api_?key|authorization|cookie|credential", re.IGNORECASE)


class SetMode(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mode: Mode
    resource: str | None = Field(default=None, min_length=1, max_length=500)
    """A slug or an id; without it everything that has no mode of its own."""
    note: str = Field(default="", max_length=1000)


class ModeView(BaseModel):
    """`mode` holds for everything but what has one of its own; `configured` is what the configuration says."""

    mode: Mode
    configured: Mode
    modes: list[ModeSetView]
    history: list[Event]
    """Who changed it, from what to what; the newest last."""


class SettingsView(BaseModel):
    """What is configured, by file and environment, with defaults. Credentials are references, or hidden."""

    settings: dict[str, Any]
    overruled: list[ModeSetView]
    """What was set while it runs, and holds instead."""
    policy: PolicyChangeView | None
    """What an admin has set of policy while it runs."""


async def _view(runtime: Runtime) -> ModeView:
    standing = await runtime.decide.modes.standing()
    return ModeView(
        mode=runtime.decide.modes.of(ALL, standing),
        configured=runtime.decide.modes.configured,
        modes=[mode_set(runtime, one) for one in standing.values()],
        history=await runtime.store.events(kinds=(CHANGED,), limit=SHOWN, newest=True),
    )


@router.get("/mode")
async def show_mode(runtime: Here, _: Viewer) -> ModeView:
    """The mode that holds, what the configuration says, and who changed it."""
    return await _view(runtime)


@router.put("/mode")
async def set_mode(body: SetMode, runtime: Here, who: Operator) -> ModeView:
    """Set another mode than the configured one, for everything or one resource, until it is set as configured again. A
    more permissive one takes an admin."""
    key = await _key(runtime, body.resource)
    await _may(runtime, key, body.mode, who)
    if await runtime.decide.modes.set(key, body.mode, Said(who.id, now(), body.note), body.resource or ""):
        await runtime.desk.wake_all()
    return await _view(runtime)


@router.delete("/mode")
async def unset_mode(
    runtime: Here,
    who: Operator,
    resource: Annotated[str | None, Query(max_length=500, description="else for everything")] = None,
) -> ModeView:
    """As configured again, for everything that has no mode of its own, or for one resource."""
    key = await _key(runtime, resource)
    if key != ALL:
        await _may(runtime, key, await runtime.decide.modes.overall(), who)
    if await runtime.decide.modes.set(key, None, Said(who.id, now()), resource or ""):
        await runtime.desk.wake_all()
    return await _view(runtime)


async def _key(runtime: Runtime, resource: str | None) -> str:
    """By its id, also where it is gone and its mode still stands. Raises NotFound."""
    if resource is None:
        return ALL
    return resource if resource in await runtime.decide.modes.standing() else await id_of(runtime, resource)


async def _may(runtime: Runtime, key: str, mode: Mode, who: Principal) -> None:
    """Raises Forbidden where somebody but an admin wants more than the configuration allows, or for one resource more
    than holds for everything."""
    modes = runtime.decide.modes
    limit: list[Mode] = [modes.configured] if key == ALL else [modes.configured, await modes.overall()]
    strictest = min(limit, key=lambda one: RANK[one])
    if RANK[mode] > RANK[strictest] and not runtime.access.allows(who, "administer", "loosen_mode"):
        raise Forbidden(
            f"{mode} is more permissive than {strictest}: that takes an admin; {who.name} has the role {who.role}.",
            "docs/access.md tells who may what.",
        )


@router.get("/settings")
async def show_settings(runtime: Here, _: Viewer) -> SettingsView:
    """Everything that is configured, secrets hidden."""
    told = runtime.settings.model_dump(mode="json", by_alias=True)
    standing = await runtime.decide.modes.standing()
    return SettingsView(
        settings=runtime.store.masker.value(cast("dict[str, Any]", hidden(told))),
        overruled=[mode_set(runtime, one) for one in standing.values()],
        policy=policy_change(runtime),
    )


def hidden(value: Any, name: str = "") -> Any:
    """The same without what its name says to be secret; references to secrets stay.

    >>> hidden({"password": "hunter2", "token": "env:TOKEN", "url": "https://ada:pw@host/x"})
    {'password': '•••', 'token': 'env:TOKEN', 'url': 'https://•••@host/x'}
    """
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        return {key: hidden(one, key) for key, one in known.items()}
    if isinstance(value, list):
        return [hidden(one, name) for one in cast("list[Any]", value)]
    if not isinstance(value, str) or value.startswith(REFERENCE):
        return value
    if _SECRET.search(name) and value:
        return HIDDEN
    return re.sub(r"://[^/@\s]+@", f"://{HIDDEN}@", value)
