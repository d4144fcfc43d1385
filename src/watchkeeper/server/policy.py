"""`/api/policy`: what it may do where; changed by an admin while it runs, with who did, and back."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from watchkeeper.decide import Amendment, Policy
from watchkeeper.domain import ConfigurationError, Effect, Event, Said, WatchkeeperError, now
from watchkeeper.domain.policy import Outcome
from watchkeeper.server.runtime import Runtime
from watchkeeper.server.security import Admin, Here, Viewer

router = APIRouter(prefix="/api/policy", tags=["policy"])
Environment = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class PolicyChangeView(BaseModel):
    """What an admin has set while it runs; null: as configured."""

    table: dict[str, dict[str, Outcome]]
    changes_per_hour: int | None
    cooldown: float | None
    two_people: list[str] | None
    looser: list[str]
    """In what it is more permissive than the configuration."""
    by: str
    at: datetime
    note: str


class PolicyView(BaseModel):
    """As it holds now."""

    mode: str
    table: dict[str, dict[str, str]]
    changes_per_hour: int
    cooldown: float
    concurrent_fixes: int
    concurrent_fixes_nearby: int
    breaker_failures: int
    two_people: list[str]
    cedar: str
    configured: dict[str, dict[str, str]]
    """The table as the configuration has it."""
    changed: PolicyChangeView | None


class SetPolicy(BaseModel):
    """What is not given stays as it is."""

    model_config = ConfigDict(extra="forbid")
    table: dict[Environment, dict[Effect, Outcome]] = Field(
        default_factory=dict[str, dict[Effect, Outcome]], max_length=50
    )
    changes_per_hour: int | None = Field(default=None, ge=0, le=1000)
    cooldown: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)
    """Seconds."""
    two_people: list[Effect] | None = None
    loosen: bool = False
    """That it may be more permissive than the configuration; then `note` says why."""
    note: str = Field(default="", max_length=1000)


class UndoPolicy(BaseModel):
    model_config = ConfigDict(extra="forbid")
    loosen: bool = False
    note: str = Field(default="", max_length=1000)


class PolicyHistory(BaseModel):
    changes: list[Event]
    """Who changed it, from what to what; the newest last, of the last fifty."""


class PolicyPreview(BaseModel):
    """What policy would be, were it set so. Nothing is changed."""

    table: dict[str, dict[str, str]]
    changes: list[str]
    """What would be another than it is now, in words."""
    looser: list[str]
    """In what it would be more permissive than the configuration: that must be meant (`loosen`, with a `note`)."""
    refused: str | None
    """Why it cannot be set so by anybody."""


class Unfit(WatchkeeperError):
    """What policy cannot be."""

    status = 422


def policy_change(runtime: Runtime) -> PolicyChangeView | None:
    """What holds instead of what is configured."""
    amendments = runtime.decide.amendments
    if amendments.standing is None or amendments.said is None:
        return None
    said = amendments.said
    looser = amendments.looser(amendments.standing)
    return PolicyChangeView(**amendments.standing.kept, looser=looser, by=said.by, at=said.at, note=said.note)


@router.get("")
async def show_policy(runtime: Here, _: Viewer) -> PolicyView:
    """The mode, the table, the limits, and the Cedar they become; and what was changed of it while it runs."""
    await runtime.decide.amendments.load()
    policy = runtime.decide.policy
    return PolicyView(
        mode=await runtime.decide.modes.overall(),
        table={environment: dict(row) for environment, row in policy.table.items()},
        changes_per_hour=policy.settings.changes_per_hour,
        cooldown=policy.settings.cooldown,
        concurrent_fixes=policy.settings.concurrent_fixes,
        concurrent_fixes_nearby=policy.settings.concurrent_fixes_nearby,
        breaker_failures=policy.settings.breaker_failures,
        two_people=[effect.value for effect in policy.settings.two_people],
        cedar=policy.cedar,
        configured={row: dict(cells) for row, cells in runtime.decide.amendments.configured.table.items()},
        changed=policy_change(runtime),
    )


@router.get("/history")
async def show_policy_history(runtime: Here, _: Viewer) -> PolicyHistory:
    """Who changed it while it ran, and what was more permissive than the configuration."""
    return PolicyHistory(changes=await runtime.decide.amendments.history())


@router.put("")
async def set_policy(body: SetPolicy, runtime: Here, who: Admin) -> PolicyView:
    """Change cells of the table, or limits, from the next step on, until it is set as configured. What is more
    permissive than the configuration must be meant (`loosen`, with a `note`)."""
    await _set(runtime, await _wanted(runtime, body), Said(who.id, now(), body.note), body.loosen)
    return await show_policy(runtime, who)


@router.post("/preview")
async def preview_policy(body: SetPolicy, runtime: Here, _: Admin) -> PolicyPreview:
    """What `PUT` would make of it, and what of that is more permissive than the configuration; nothing is set."""
    wanted, amendments = await _wanted(runtime, body), runtime.decide.amendments
    refused, present, then = None, amendments.policy, amendments.policy
    try:
        then = amendments.made(amendments.checked(wanted, meant=True, note="a preview"))
    except WatchkeeperError as problem:
        refused = f"{problem.what} {problem.next_step}".strip()
    return PolicyPreview(
        table={environment: dict(row) for environment, row in then.table.items()},
        changes=differences(present, then),
        looser=amendments.looser(wanted),
        refused=refused,
    )


def differences(present: Policy, then: Policy) -> list[str]:
    """In words, cell by cell and limit by limit."""
    found: list[str] = []
    for row, cells in then.table.items():
        said = present.table.get(row, present.table["production"])
        new = "" if row in present.table else " (a row of its own)"
        found += [
            f"{row}/{effect}{new}: {said[effect]} → {outcome}"
            for effect, outcome in cells.items()
            if said[effect] != outcome
        ]
    was, limits = present.settings, then.settings
    if was.changes_per_hour != limits.changes_per_hour:
        found.append(f"changes of one resource in an hour: {was.changes_per_hour} → {limits.changes_per_hour}")
    if was.cooldown != limits.cooldown:
        found.append(f"rest between fixes of one resource: {was.cooldown:g} s → {limits.cooldown:g} s")
    if set(was.two_people) != set(limits.two_people):
        before, after = (", ".join(effect.value for effect in one.two_people) or "nothing" for one in (was, limits))
        found.append(f"two people for: {before} → {after}")
    return found


async def _wanted(runtime: Runtime, body: SetPolicy) -> Amendment:
    """What stands, with what is wanted over it. Raises Unfit."""
    amendments = runtime.decide.amendments
    await amendments.load()
    two = tuple(effect.value for effect in body.two_people) if body.two_people is not None else None
    table: dict[str, dict[str, Outcome]] = {
        row: {effect.value: outcome for effect, outcome in cells.items()} for row, cells in body.table.items()
    }
    more = Amendment(table, body.changes_per_hour, body.cooldown, two)
    if more == Amendment():
        raise Unfit("Say what is to be another: table, changes_per_hour, cooldown or two_people.")
    return (amendments.standing or Amendment()).with_(more)


@router.delete("")
async def reset_policy(runtime: Here, who: Admin) -> PolicyView:
    """As configured again."""
    if await runtime.decide.amendments.change(None, Said(who.id, now())):
        await runtime.desk.wake_all()
    return await show_policy(runtime, who)


@router.post("/undo")
async def undo_policy(body: UndoPolicy, runtime: Here, who: Admin) -> PolicyView:
    """As it was before the last change; back to what is more permissive than the configuration must be meant, too."""
    was = await runtime.decide.amendments.before()
    await _set(runtime, was or Amendment(), Said(who.id, now(), body.note), body.loosen)
    return await show_policy(runtime, who)


async def _set(runtime: Runtime, amendment: Amendment, said: Said, loosen: bool) -> None:
    amendments = runtime.decide.amendments
    try:
        made = amendments.checked(amendment, meant=loosen, note=said.note)
    except ConfigurationError as problem:
        raise Unfit(problem.what, problem.next_step) from None
    if await amendments.change(made, said):
        await runtime.desk.wake_all()
